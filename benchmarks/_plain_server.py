"""The server that one writes in an afternoon: Starlette and PyTorch, each request for itself.

python -m benchmarks._plain_server RUN PORT
"""

import io
import sys
from dataclasses import replace

import numpy as np
import torch
import uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from spikewise.api import Trained, load
from spikewise.network import Network


def main() -> None:
    model = load(sys.argv[1], device="cpu")
    plain = Network(model.network.graph, engine_name="reference")  # PyTorch, as it is written by hand
    plain.load_state_dict(model.network.state_dict())
    model = replace(model, network=plain.eval())

    async def predict(request: Request) -> JSONResponse:
        async with request.form() as form:
            body = await form["image"].read()
        return JSONResponse(await run_in_threadpool(answered, model, body))

    app = Starlette(routes=[Route("/predict", predict, methods=["POST"])])
    print("ready", flush=True)
    uvicorn.run(app, port=int(sys.argv[2]), log_level="critical", access_log=False)


def answered(model: Trained, body: bytes) -> dict:
    image = Image.open(io.BytesIO(body)).convert("L").resize(model.reading.shape[:0:-1])
    with torch.no_grad():
        probabilities = model.answers(np.asarray(image)[None, None], layers=()).probabilities[0]
    return {
        "answers": [{"label": model.classes[int(probabilities.argmax())], "probability": float(probabilities.max())}]
    }


if __name__ == "__main__":
    main()
