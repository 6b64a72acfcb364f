# Asks a question by Requests: ask.py URL KEY QUESTION STREAMING
import json
import sys

import requests

url, key, question, streaming = sys.argv[1:]
response = requests.post(
    url,
    headers={"Authorization": "Bearer " + key},
    json={"question": question, "streaming": streaming == "true"},
    stream=streaming == "true",
    timeout=30,
)
if not response.ok:
    print(response.status_code, response.json()["code"], response.json()["error"])
elif streaming == "true":
    events = (json.loads(line[5:]) for line in response.iter_lines(decode_unicode=True) if line.startswith("data:"))
    print("".join(e["data"] for e in events if e["event"] == "token"))
else:
    print(response.json()["text"])
