"""GET /add?a=5&b=3 by Flask; gunicorn serves it."""

from flask import Flask, request

app = Flask(__name__)


@app.get("/add")
def add():
    total = request.args.get("a", type=int) + request.args.get("b", type=int)
    return f"{total}\n", 200, {"Content-Type": "text/plain"}
