"""The peer of serving: FastAPI as its documentation teaches it, around the same model. Nothing is checked, named or logged."""

import socket
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from headwater.pipeline.build import load_served
from headwater.pipeline.project import Project


class Ask(BaseModel):
    user: str | None = None
    history: list[str] = []
    k: int = 10


class Item(BaseModel):
    item: str
    score: float


class Answer(BaseModel):
    model: str
    version: str
    items: list[Item]


project = Project.open(sys.argv[1])
model = load_served(project.registry, project.deployments.current(project.pipeline.name))
app = FastAPI()


@app.post("/recommend")
async def recommend(ask: Ask) -> Answer:
    best = model.recommend(ask.user, history=ask.history, k=ask.k)
    return Answer(model=model.name, version=model.version, items=[Item(item=item, score=score) for item, score in best])


listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
print(f"serving at http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run(sockets=[listener])
