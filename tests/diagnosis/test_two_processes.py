"""``diagnose --seeds`` in two processes says what it says in one."""

import xarray as xr

import glorot_jax as gj
from tests import two_processes
from tests.diagnosis import diagnosed


def test_two_processes_share_the_nets(tmp_path):
    model = "tests.diagnosis.diagnosed:sick"
    arguments = (f"--model={model}", "--seeds=3", f"--workdir={tmp_path}")
    first, second = two_processes.end(two_processes.start("glorot_jax.diagnosis", *arguments))
    assert (first.returncode, second.returncode) == (1, 1), first.stderr + second.stderr
    assert (second.stdout, second.stderr) == ("", "")
    assert first.stdout.splitlines()[-1] == f"page: {tmp_path / 'report.html'}"
    alone = gj.diagnose(*diagnosed.sick()[:4], seeds=3, name=model)
    assert str(alone) in first.stdout
    found = xr.load_dataset(tmp_path / "report.nc", engine="h5netcdf")
    assert found.sizes["seed"] == 3
    # A net alone on a process is another program than two. A bin's density is the difference of two
    # shares, each rounded by 6e-8, of which a bin holds a few hundredths.
    density = ["sigma_density"]
    xr.testing.assert_allclose(found[density], alone.data[density], rtol=1e-5)
    rest = (data.drop_vars(density) for data in (found, alone.data))
    xr.testing.assert_allclose(*rest, rtol=1e-6, atol=1e-6)
    assert found.attrs["findings"] == alone.data.attrs["findings"]
