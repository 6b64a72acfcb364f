# The page, and the tokens for its chat. The sign-in is an example: put your site's own in its place.
import http.server, json, os, pathlib, re, secrets, urllib.parse, urllib.request
KEY, PASSWORD = pathlib.Path(os.environ["KEY_FILE"]).read_text().strip(), os.environ["PASSWORD"].encode()
ORIGIN, GATE = os.getenv("ORIGIN", "http://127.0.0.1:8000"), os.getenv("GATE", "http://127.0.0.1:8080/chat")
PAGE, CHATFLOW, SESSIONS = pathlib.Path(__file__).parent.parent / "page.html", "3f1c2a9e-1111-4222-8333-444455556666", {}
class Handler(http.server.BaseHTTPRequestHandler):
    def respond(self, status, body=b"", **header):
        self.send_response(status)
        for name, value in {"Cache-Control": "no-store", "Content-Length": len(body), **header}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.respond(200, PAGE.read_bytes(), Content_Type="text/html", Content_Security_Policy="frame-ancestors 'none'")
    def do_POST(self):
        form = urllib.parse.parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
        session = re.search(r"(?:^|; )session=([^;]+)|$", self.headers.get("Cookie", ""))[1]
        if self.path == "/login" and secrets.compare_digest(form.get("password", [""])[0].encode(), PASSWORD):
            SESSIONS[new := secrets.token_hex(16)] = form["user"][0]
            return self.respond(303, Location="/", Set_Cookie=f"session={new}; HttpOnly; Secure; SameSite=Lax; Path=/")
        if self.path != "/chat-token" or session not in SESSIONS:
            return self.respond(401)
        asked = {"chatflow": CHATFLOW, "origin": ORIGIN, "user": SESSIONS[session], "ttl": 600}
        request = urllib.request.Request(GATE + "/-/token", json.dumps(asked).encode(), {"Authorization": "Bearer " + KEY, "Content-Type": "application/json"})
        try:
            self.respond(200, urllib.request.urlopen(request, timeout=5).read(), Content_Type="application/json")
        except OSError as error:
            self.respond(429 if getattr(error, "code", 0) == 429 else 502)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.getenv("PORT", "3001"))), Handler).serve_forever()
