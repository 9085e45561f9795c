"""The peer of serving: FastAPI as its documentation teaches it, around the same model. Nothing is checked, named or logged."""

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


class Server(uvicorn.Server):
    """uvicorn's own, opening its own port as `uvicorn.run` does (a socket made by hand may lack TCP_NODELAY), and saying when."""

    async def startup(self, sockets=None) -> None:
        await super().startup(sockets)
        print(f"serving at http://127.0.0.1:{self.servers[0].sockets[0].getsockname()[1]}", flush=True)


Server(uvicorn.Config(app, host="127.0.0.1", port=0, access_log=False, log_level="warning")).run()
