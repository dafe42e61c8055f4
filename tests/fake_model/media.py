"""What the server does with images, speech, transcription and its list of models, by the name of the model.

- `/images/generations`: as many as `n` says, as a URL or, for `response_format: b64_json` and models whose name
  begins with `gpt-image`, as the base64 of a PNG; `count:N` gives N whatever `n` says, `bytes:N` an image of N
  bytes, `none` no image, `bad` base64 that is none.
- `/audio/speech`: `ID3 VOICE SPEED TEXT` in place of sound, of the type that `response_format` has; `bytes:N` so many.
- `/audio/transcriptions`, `/audio/translations`: a text that says what was sent, in the form that `response_format`
  names; `none` an answer without a text, `big:N` one of N characters.
- `/models` (GET, whose scripts can only be set by `FakeModel.script`): `models` lists `MODELS`, `models:N` N of them;
  `key:K` refuses every other key (401), in whichever header it comes; `no-list` is JSON, but no list.
- Everywhere: `delay:S`, and every fault and silence of `behaviours` that says nothing of chat: `status`, `redirect`,
  `html`, `nothing`, `cut-error`, `drop-before`, `not-http`, `gzip`, `hang`, `hang-headers`; `hang-mid` (after a
  part of the body), `drop` (a reset there).
"""

import asyncio
from base64 import b64encode
from typing import Any, Final

import orjson

from tests.fake_model import answers
from tests.fake_model.faults import FAULTS
from tests.fake_model.scripts import JSON, Behaviour, Script, for_ever, reply_json
from tests.fake_model.wire import Exchange

MODELS: Final = ("alpha-large", "alpha-small", "embed-1")
PNG: Final = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c63606060f8"
    "0f00010401005fe5c34b0000000049454e44ae426082"
)
"""A picture of one pixel."""

_SHARED: Final = frozenset(
    {"status", "redirect", "html", "nothing", "cut-error", "drop-before", "not-http", "gzip"}
    | {"hang", "hang-headers"}
)
_SOUNDS: Final = {"mp3": "audio/mpeg", "opus": "audio/opus", "aac": "audio/aac", "flac": "audio/flac"}


async def images(exchange: Exchange, script: Script) -> None:
    """Answer `/images/generations`."""
    body = script.body
    count = script.number(1) if script.kind == "count" else int(body.get("n") or 1)
    picture = PNG + b"\0" * (script.number(0) - len(PNG)) if script.kind == "bytes" else PNG
    in_base64 = body.get("response_format") == "b64_json" or script.model.startswith("gpt-image")
    data: list[dict[str, Any]] = []
    for number in range(0 if script.kind == "none" else count):
        if in_base64:
            data.append({"b64_json": "@" if script.kind == "bad" else b64encode(picture).decode()})
        else:
            url = f"https://images.example/{number}.png"
            data.append({"url": url, "revised_prompt": f"Painted: {body['prompt']}"})
    reply: dict[str, Any] = {"created": 1_760_000_000, "data": data}
    if script.model.startswith("gpt-image") and script.options.get("usage") != "no":
        reply["usage"] = {"input_tokens": 5, "output_tokens": 100, "total_tokens": 105}
    reply_json(exchange, reply)


async def speech(exchange: Exchange, script: Script) -> None:
    """Answer `/audio/speech`."""
    body = script.body
    data = f"ID3 {body['voice']} {body.get('speed', 1)} {body['input']}".encode()
    if script.kind == "bytes":
        data = b"\xff" * script.number(0)
    media_type = _SOUNDS.get(body.get("response_format", "mp3"), "audio/wav")
    exchange.start(headers={"content-type": media_type}, length=len(data))
    exchange.send(data)
    exchange.end()


async def transcription(exchange: Exchange, script: Script) -> None:
    """Answer `/audio/transcriptions` and `/audio/translations`."""
    body, upload = script.body, exchange.received.files.get("file")
    if upload is None:
        return reply_json(exchange, answers.error("'file' is a required property"), status=400)
    said = [f"{len(upload.data)} bytes of {upload.name} ({upload.media_type})"]
    said += [f"{name} {body[name]}" for name in ("language", "prompt", "temperature") if name in body]
    text = "x" * script.number(0) if script.kind == "big" else ", ".join(said)
    form = body.get("response_format", "json")
    if form in {"json", "verbose_json"}:
        reply: dict[str, Any] = {"text": text}
        if form == "verbose_json":
            reply |= {"task": "transcribe", "language": "english", "duration": 1.5, "segments": []}
        return reply_json(exchange, {} if script.kind == "none" else reply)
    times = {"srt": "1\n00:00:00,000 --> 00:00:01,500\n", "vtt": "WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n"}
    data = f"{times.get(form, '')}{text}\n".encode()
    exchange.start(headers={"content-type": "text/plain; charset=utf-8"}, length=len(data))
    exchange.send(data)
    return exchange.end()


async def models(exchange: Exchange, script: Script) -> None:
    """Answer `/models`."""
    headers = exchange.received.headers
    given = headers.get("authorization") or headers.get("api-key") or headers.get("x-api-key") or "none"
    if script.kind == "key" and given.removeprefix("Bearer ") != script.value:
        return reply_json(exchange, answers.error(f"Incorrect API key provided: {given}."), status=401)
    if script.kind == "no-list":
        return reply_json(exchange, {"object": "list", "data": "none"})
    names = (
        [f"model-{number}" for number in range(script.number(0))]
        if script.value and script.kind == "models"
        else MODELS
    )
    data = [{"id": name, "object": "model", "created": 1_760_000_000, "owned_by": "us"} for name in names]
    return reply_json(exchange, {"object": "list", "data": data})


async def play(operation: Behaviour, exchange: Exchange, script: Script) -> None:
    """Answer, or do the fault that the script names."""
    if script.kind in _SHARED:
        return await FAULTS[script.kind](exchange, script)
    if script.kind in {"hang-mid", "drop"}:
        exchange.start(headers=JSON, length=1000)
        exchange.send(orjson.dumps({"created": 1}))
        if script.kind == "hang-mid":
            await for_ever()
        await asyncio.sleep(0.05)  # a reset overtakes what the other side has not read yet
        return exchange.abort()
    if script.kind == "delay":
        await asyncio.sleep(float(script.value or 1))
    return await operation(exchange, script)
