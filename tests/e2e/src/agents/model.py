"""A model that asks its agent to run one shell command, and is content with whatever comes of it.

`model.py COMMAND AGENT [ARGUMENT...]` serves the three usual protocols on a free port of the loopback device,
runs the agent with `{url}` replaced in arguments and environment, and ends as the agent ends.
"""

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMAND = sys.argv[1]
SHELLS = ("bash", "exec_command", "shell", "run_shell_command", "shell_command", "run_command")
FINAL = "the model is content"


def shell_call(tools):
    """The agent's own tool that runs commands, and the arguments that it wants."""
    for tool in tools:
        tool = tool.get("function", tool)
        name = tool.get("name", tool.get("type", ""))
        schema = tool.get("input_schema") or tool.get("parameters") or {}
        if name.lower() not in SHELLS:
            continue
        arguments = {}
        for key, about in schema.get("properties", {}).items():
            if key in ("command", "cmd", "script"):
                kinds = json.dumps(about)
                arguments[key] = ["sh", "-c", COMMAND] if '"array"' in kinds and '"string"' not in about.get(
                    "type", "") else COMMAND
            elif key == "description":
                arguments[key] = "a command"
        return name, arguments
    return None


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer("application/json", b"")

    def do_GET(self):
        models = {"object": "list", "data": [{"id": "model", "object": "model"}]}
        self.answer("application/json", json.dumps(models).encode())

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        # Whoever got the result of the command has nothing more to do.
        done = any(mark in json.dumps(request) for mark in (
            '"tool_result"', '"function_call_output"', '"role": "tool"', '"custom_tool_call_output"'))
        call = None if done else shell_call(request.get("tools") or [])
        path = self.path.split("?")[0]
        if path.endswith("/messages"):
            events = messages(call)
        elif path.endswith("/responses"):
            events = responses(call)
        elif path.endswith("/chat/completions"):
            events = chat(call)
        else:
            return self.answer("application/json", b"{}")
        if not request.get("stream"):
            return self.answer("application/json", json.dumps(whole(path, call)).encode())
        lines = []
        for event in events:
            if "type" in event:
                lines.append(f"event: {event['type']}\n")
            lines.append(f"data: {json.dumps(event)}\n\n")
        if path.endswith("/chat/completions"):
            lines.append("data: [DONE]\n\n")
        self.answer("text/event-stream", "".join(lines).encode())

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


USAGE = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2, "prompt_tokens": 1, "completion_tokens": 1}


def messages(call):
    message = {"id": "m", "type": "message", "role": "assistant", "model": "model", "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": USAGE}
    yield {"type": "message_start", "message": message}
    if call:
        block = {"type": "tool_use", "id": "call", "name": call[0], "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(call[1])}
    else:
        block, delta = {"type": "text", "text": ""}, {"type": "text_delta", "text": FINAL}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    reason = {"stop_reason": "tool_use" if call else "end_turn", "stop_sequence": None}
    yield {"type": "message_delta", "delta": reason, "usage": USAGE}
    yield {"type": "message_stop"}


def responses(call):
    if call:
        item = {"type": "function_call", "id": "item", "call_id": "call", "name": call[0],
                "arguments": json.dumps(call[1]), "status": "completed"}
    else:
        text = {"type": "output_text", "text": FINAL, "annotations": []}
        item = {"type": "message", "id": "item", "role": "assistant", "status": "completed", "content": [text]}
    whole = {"id": "r", "object": "response", "status": "completed", "output": [item], "usage": USAGE}
    yield {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}}
    yield {"type": "response.output_item.added", "output_index": 0, "item": item}
    yield {"type": "response.output_item.done", "output_index": 0, "item": item}
    yield {"type": "response.completed", "response": whole}


def chat(call):
    if call:
        function = {"name": call[0], "arguments": json.dumps(call[1])}
        delta = {"role": "assistant", "tool_calls": [
            {"index": 0, "id": "call", "type": "function", "function": function}]}
    else:
        delta = {"role": "assistant", "content": FINAL}
    chunk = {"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "model"}
    yield {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    reason = "tool_calls" if call else "stop"
    yield {**chunk, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": USAGE}


def whole(path, call):
    """The answer to a request that does not stream."""
    if path.endswith("/messages"):
        content = [{"type": "tool_use", "id": "call", "name": call[0], "input": call[1]}] if call else [
            {"type": "text", "text": FINAL}]
        return {"id": "m", "type": "message", "role": "assistant", "model": "model", "content": content,
                "stop_reason": "tool_use" if call else "end_turn", "usage": USAGE}
    if path.endswith("/responses"):
        return list(responses(call))[-1]["response"]
    first, last = chat(call)
    choice = {**last["choices"][0], "message": first["choices"][0]["delta"]}
    return {**last, "object": "chat.completion", "choices": [choice]}


server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
environment = {name: value.replace("{url}", url) for name, value in os.environ.items()}
agent = [argument.replace("{url}", url) for argument in sys.argv[2:]]
sys.exit(subprocess.run(agent, env=environment, stdin=subprocess.DEVNULL).returncode)
