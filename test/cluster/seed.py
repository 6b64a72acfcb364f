"""Registers an account in a new Flowise 3 and makes a chatflow that waits as many seconds as it is asked; prints its ID.

seed.py http://127.0.0.1:3000
"""
import json
import sys
import urllib.request

base = sys.argv[1] + "/api/v1"
cookies = []  # by hand: they are marked as for https alone
account = {"email": "admin@example.com", "password": "Loopback-0nly!"}


def post(path, body):
    request = urllib.request.Request(base + path, json.dumps(body).encode(), {"Content-Type": "application/json", "x-request-from": "internal", "Cookie": "; ".join(cookies)})
    with urllib.request.urlopen(request, timeout=30) as answer:
        cookies.extend(c.split(";")[0] for c in answer.headers.get_all("Set-Cookie", []))
        return json.loads(answer.read() or b"null")


post("/account/register", {"user": {"name": "Admin", "type": "pro", "email": account["email"], "credential": account["password"]}})
post("/auth/login", account)
wait = "await new Promise(done => setTimeout(done, 1000 * Number($input))); return 'waited ' + $input"
node = {
    "id": "customFunction_0", "name": "customFunction", "label": "wait", "category": "Utilities", "baseClasses": [],
    "inputs": {"functionInputVariables": "", "functionName": "wait", "javascriptFunction": wait},
    "inputParams": [], "inputAnchors": [], "outputs": {"output": "EndingNode"}, "outputAnchors": [],
}
flow = {"nodes": [{"id": node["id"], "type": "customNode", "data": node}], "edges": []}
print(post("/chatflows", {"name": "wait", "type": "CHATFLOW", "flowData": json.dumps(flow), "deployed": True})["id"])
