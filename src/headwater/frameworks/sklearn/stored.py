"""Stored: a fitted pipeline as bytes that cannot run code of their own: ONNX where that is exact, else skops by a fixed list."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headwater.core.errors import DataError, Refused
from headwater.core.extras import need
from headwater.core.names import printable
from headwater.frameworks.sklearn.estimators import Examples

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ALLOWED", "NEAR", "ONNX", "SKOPS", "Ask", "put_in_order", "restored", "stored"]

ONNX, SKOPS = "model.onnx", "model.skops"
NEAR = 1e-5
"""A probability may differ by this from what scikit-learn says; a label may not."""
OPSETS = {"": 18, "ai.onnx.ml": 3}
_MOST_SCHEMA = 256 * 1024 * 1024

Ask = Callable[[Examples], "NDArray[Any]"]

_LOADERS = frozenset(
    {"DictNode", "ListNode", "TupleNode", "SliceNode", "JsonNode", "TypeNode", "DTypeNode", "NdArrayNode", "ObjectNode"}
    | {"RandomGeneratorNode", "RandomStateNode", "LossNode", "TreeNode"}
)
_BOOSTING = "sklearn.ensemble._hist_gradient_boosting"
ALLOWED = frozenset(
    {f"builtins.{name}" for name in ("dict", "list", "tuple", "slice", "str", "int", "float", "bool", "NoneType")}
    | {f"numpy.{name}" for name in ("dtype", "ndarray", "bool", "bool_", "str_", "object_")}
    | {f"numpy.{name}" for name in ("float32", "float64", "int8", "int32", "int64", "uint8", "uint32", "uint64")}
    | {"numpy.random._generator.Generator", "numpy.random.mtrand.RandomState", "numpy.random._pcg64.PCG64"}
    | {"sklearn.pipeline.Pipeline", "sklearn.compose._column_transformer.ColumnTransformer", "sklearn.impute._base.SimpleImputer"}
    | {"sklearn.preprocessing._data.StandardScaler", "sklearn.preprocessing._data.MinMaxScaler"}
    | {"sklearn.preprocessing._encoders.OneHotEncoder", "sklearn.preprocessing._label.LabelEncoder"}
    | {"sklearn.linear_model._logistic.LogisticRegression", "sklearn.svm._classes.SVC"}
    | {"sklearn.ensemble._forest.RandomForestClassifier", "sklearn.tree._classes.DecisionTreeClassifier", "sklearn.tree._tree.Tree"}
    | {f"{_BOOSTING}.gradient_boosting.HistGradientBoostingClassifier", f"{_BOOSTING}.binning._BinMapper"}
    | {f"{_BOOSTING}.predictor.TreePredictor", "sklearn._loss.link.Interval"}
    | {f"sklearn._loss.link.{name}" for name in ("MultinomialLogit", "LogitLink")}
    | {f"sklearn._loss.{name}" for name in ("loss.HalfMultinomialLoss", "loss.HalfBinomialLoss")}
    | {f"sklearn._loss._loss.{name}" for name in ("CyHalfMultinomialLoss", "CyHalfBinomialLoss")}
)
"""Every type that a skops file of ours may name. skops trusts more by itself; what is not here is refused before anything is made."""


def stored(model: Any, examples: Examples, *, exact: bool) -> tuple[str, NDArray[np.uint8]]:
    """The model as bytes, and the name that says how: ONNX if it tells all of `examples` as scikit-learn does, else skops.

    `exact` False goes straight to skops. The same model gives the same bytes.
    """
    import numpy as np

    found = _exact_onnx(model, examples) if exact else None
    name, content = (ONNX, found) if found is not None else (SKOPS, _skops(model))
    return name, np.frombuffer(content, np.uint8)


def restored(arrays: Mapping[str, NDArray[Any]], *, margin: bool) -> Ask:
    """What gives the probabilities of rows; `margin` says that the model gives distances to make them of.

    Raises `Refused` for a skops file that names a type outside `ALLOWED`.
    """
    (name, array), *more = arrays.items()
    if more:
        raise ValueError("the model is there twice")
    return _onnx_asked(array.tobytes(), margin=margin) if name == ONNX else _asked(_opened(array.tobytes()))


def _exact_onnx(model: Any, examples: Examples) -> bytes | None:
    import numpy as np

    try:
        content = _onnx(model, examples)
        found = _onnx_asked(content, margin=_gives_margin(model))(examples)
    except Exception:  # noqa: BLE001 - whatever a converter cannot do, skops can
        return None
    expected = _asked(model)(examples)
    same = np.array_equal(found.argmax(axis=1), expected.argmax(axis=1)) and np.abs(found - expected).max() <= NEAR
    return content if same else None


def _onnx(model: Any, examples: Examples) -> bytes:
    need("skl2onnx", extra="sklearn")
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    inputs: list[Any] = []
    if examples.numbers.shape[1]:
        inputs.append(("numbers", FloatTensorType([None, examples.numbers.shape[1]])))
    if examples.texts.shape[1]:
        inputs.append(("texts", StringTensorType([None, examples.texts.shape[1]])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = convert_sklearn(model, "classifier", inputs, target_opset=OPSETS, options={id(model.steps[-1][1]): {"zipmap": False}})
    put_in_order(made)
    return bytes(made.SerializeToString(deterministic=True))


def put_in_order(model: Any) -> None:
    """Sort what an ONNX model lists: nodes each after what it reads and else by what it makes, the rest by name.

    The converter lists nodes that are alike by their place in memory, and what it keeps in sets by chance: the same model
    would not always give the same bytes.
    """
    graph = model.graph
    waiting = sorted(graph.node, key=lambda node: list(node.output))
    known = {"", *(one.name for one in graph.input), *(one.name for one in graph.initializer)}
    done: list[Any] = []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.input)]
        if not ready:
            raise ValueError("a node reads what no node makes")
        known.update(name for node in ready for name in node.output)
        waiting = [node for node in waiting if not known.issuperset(node.output)]
        done += ready
    _listed(graph.node, done)
    _listed(graph.initializer, sorted(graph.initializer, key=lambda one: str(one.name)))
    _listed(model.opset_import, sorted(model.opset_import, key=lambda one: str(one.domain)))


def _listed(field: Any, items: list[Any]) -> None:
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)


def _onnx_asked(content: bytes, *, margin: bool) -> Ask:
    import numpy as np

    need("onnxruntime", extra="onnx")
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # sums in one order
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        names = {given.name for given in session.get_inputs()}
        output = session.get_outputs()[1].name
    except Exception as error:
        raise DataError(f"the model's ONNX cannot be used: {type(error).__name__}") from error

    def ask(examples: Examples) -> NDArray[Any]:
        given = {"numbers": examples.numbers.astype(np.float32), "texts": examples.texts}
        (found,) = session.run([output], {name: given[name] for name in names})
        return _shares(np.asarray(found, np.float64), margin=margin)

    return ask


def _asked(model: Any) -> Ask:
    margin = _gives_margin(model)

    def ask(examples: Examples) -> NDArray[Any]:
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

        with threadpool_limits(1):
            given = examples.together()
            return _shares(model.decision_function(given) if margin else model.predict_proba(given), margin=margin)

    return ask


def _gives_margin(model: Any) -> bool:
    return not hasattr(model, "predict_proba")


def _shares(found: NDArray[Any], *, margin: bool) -> NDArray[np.float64]:
    """Rows that sum to 1. Of margins (for two classes one, else votes of pairs and how sure they are) the softmax."""
    import numpy as np

    if not margin:
        return np.asarray(found / found.sum(axis=1, keepdims=True), np.float64)
    wide = np.column_stack([-found, found]) if found.ndim == 1 else found
    shifted = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), np.float64)


def _skops(model: Any) -> bytes:
    """What skops writes, with its parts named by their order instead of their place in memory, and no time of day."""
    need("skops", extra="sklearn")
    from skops.io import dumps

    with zipfile.ZipFile(io.BytesIO(dumps(model))) as written:
        schema = json.loads(written.read("schema.json"))
        names: dict[str, str] = {}
        _renamed(schema, names)
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as parts:
            for old in [name for name in names if name in written.NameToInfo]:
                parts.writestr(zipfile.ZipInfo(names[old]), written.read(old))
            parts.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema))
    return made.getvalue()


def _renamed(value: Any, names: dict[str, str]) -> None:
    """Name every part anew: `id` is a place in memory, which tells of nothing."""
    for part in _parts(value):
        if "__id__" in part:
            part["__id__"] = int(names.setdefault(str(part["__id__"]), str(len(names))))
        if "file" in part and isinstance(part["file"], str):
            part["file"] = names.setdefault(part["file"], f"{len(names)}.npy")


def _opened(content: bytes) -> Any:
    """The model in a skops file, if all that it names is on the list."""
    need("skops", extra="sklearn")
    from skops.io import get_untrusted_types, loads

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            if file.getinfo("schema.json").file_size > _MOST_SCHEMA or any(one.compress_type for one in file.infolist()):
                raise ValueError("it is compressed, or larger than any of ours")
            schema = json.loads(file.read("schema.json"))
        types = {(f"{part['__module__']}.{part['__class__']}", part["__loader__"]) for part in _parts(schema) if "__class__" in part}
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, RecursionError) as error:
        raise Refused(f"the model's skops file is refused: {printable(str(error))}") from error
    strange = sorted({name for name, loader in types if name not in ALLOWED} | {loader for _, loader in types if loader not in _LOADERS})
    strange += sorted(set(get_untrusted_types(data=content)) - ALLOWED) if not strange else []
    if strange:
        raise Refused(f"the model's skops file is refused: it names {printable(strange[0])!r}, which no model of ours holds")
    return loads(content, trusted=sorted(ALLOWED & set(get_untrusted_types(data=content))))


def _parts(value: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a JSON value, outermost first."""
    waiting = [value]
    while waiting:
        now = waiting.pop()
        if isinstance(now, dict):
            yield now
            waiting += reversed(list(now.values()))
        elif isinstance(now, list):
            waiting += reversed(now)
