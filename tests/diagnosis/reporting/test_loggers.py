"""``scalars`` with other people's loggers, as docs/watch.md writes it: offline, without an account.

None of them is among the project's dependencies: a test is skipped where its logger isn't
installed. Each reads back what was logged by the logger's own means.
"""

import struct

import numpy as np
import pytest

from glorot_jax.diagnosis.measuring.site_statistics import Statistics
from glorot_jax.diagnosis.reporting.writers import scalars

UPDATE = 500
SEEN = Statistics(
    {"s_std": np.array([0.5, 0.25, np.nan], np.float32)},
    ("first/w", "layers/w[3]", "head/w"),
    {"loss": np.float32(2.5)},
)
LOGGED = {"first/w/s_std": 0.5, "layers/w[3]/s_std": 0.25, "net/loss": 2.5}

# They warn of their own.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_weights_and_biases(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = wandb.init(project="watched", dir=tmp_path)
    run.log(scalars(SEEN), step=UPDATE)
    run.finish()

    from wandb.proto.wandb_internal_pb2 import Record

    # Its file is a log as LevelDB writes them: a header, then checksum, length and kind of each.
    [file] = tmp_path.rglob("*.wandb")
    data, found = file.read_bytes()[7:], {}
    while data:
        (length,) = struct.unpack("<H", data[4:6])
        for item in Record.FromString(data[7 : 7 + length]).history.item:
            found[item.key or "/".join(item.nested_key)] = float(item.value_json)
        data = data[7 + length :]
    assert found.pop("_step") == UPDATE
    assert {name: value for name, value in found.items() if name[0] != "_"} == LOGGED


def test_mlflow(tmp_path):
    mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'runs.db'}")
    experiment = mlflow.create_experiment("watched", artifact_location=str(tmp_path))
    numbers = {n.replace("[", ".").replace("]", ""): v for n, v in scalars(SEEN).items()}
    with mlflow.start_run(experiment_id=experiment) as run:
        mlflow.log_metrics(numbers, step=UPDATE)
    client = mlflow.MlflowClient()
    for name, value in LOGGED.items():
        plain = name.replace("[", ".").replace("]", "")
        [metric] = client.get_metric_history(run.info.run_id, plain)
        assert (metric.step, metric.value) == (UPDATE, value)


def test_aim(tmp_path):
    aim = pytest.importorskip("aim", reason="aim is not installed")
    run = aim.Run(repo=str(tmp_path), system_tracking_interval=None, capture_terminal_logs=False)
    for name, value in scalars(SEEN).items():
        run.track(value, name=name, step=UPDATE)
    logged = [(metric.name, metric.dataframe()) for metric in run.metrics()]
    run.close()
    found = {name: (frame.step.tolist(), frame.value.tolist()) for name, frame in logged}
    assert found == {name: ([UPDATE], [value]) for name, value in LOGGED.items()}


def test_clu(tmp_path):
    # Its older versions import nothing without TensorFlow.
    metric_writers = pytest.importorskip(
        "clu.metric_writers", reason="clu is not installed", exc_type=ImportError
    )
    writer = metric_writers.SummaryWriter(str(tmp_path))
    writer.write_scalars(UPDATE, scalars(SEEN))
    writer.flush()
    writer.close()
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    from tensorboard.util.tensor_util import make_ndarray

    read = accumulator.EventAccumulator(str(tmp_path))
    read.Reload()
    kept = read.Tags()
    assert {*kept["scalars"], *kept["tensors"]} == set(LOGGED)
    for name, value in LOGGED.items():
        if name in kept["scalars"]:
            [event] = read.Scalars(name)
            found = event.value
        else:  # where it writes through TensorFlow
            [event] = read.Tensors(name)
            found = make_ndarray(event.tensor_proto).item()
        assert (event.step, found) == (UPDATE, value)
