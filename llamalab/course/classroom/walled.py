"""nbgrader's grading behind the classroom's wall: the preprocessor that nbgrader_config.py names.

A kernel that it starts has no network and starts no program; of the course's folder it sees the
notebook's own folder alone; its my_llama is a new one, and its memory is held where the system can.
A cell that ends the kernel costs itself: the notebook begins anew without it.
"""

import tempfile
from pathlib import Path
from typing import Any

from jupyter_core.utils import run_sync
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_output
from nbgrader.preprocessors import Execute
from traitlets import Integer

from llamalab.course.classroom.grade import BEGINNINGS
from llamalab.course.classroom.kernel import INSIDE, ended, environment

CONFIG = "nbgrader_config.py"
OUTPUTS = {"stream", "display_data", "execute_result", "error"}
MOST = 200_000  # characters that one cell may put out


class WalledExecute(Execute):
    """Executes a student's notebook."""

    megabytes = Integer(2000, help="How far a kernel may grow beyond its beginning.").tag(
        config=True
    )

    def preprocess(self, nb: Any, resources: Any, *args: Any, **kwargs: Any) -> Any:
        """Run it. A cell without an output would count as solved, so what cannot be run gets an
        error for its output."""
        self.left_out, self.at = set[int](), 0
        for _ in range(BEGINNINGS):
            with tempfile.TemporaryDirectory(prefix="llamalab-", ignore_cleanup_errors=True) as new:
                self.my_llama, self.sizes = Path(new).resolve(), dict[int, int]()
                try:
                    return super().preprocess(nb, resources, *args, **kwargs)
                except DeadKernelError:
                    self.left_out.add(self.at)
        for cell in nb.cells[self.at :]:
            if cell.cell_type == "code":
                cell.outputs = [_error(f"not run: the kernel was ended {BEGINNINGS} times")]
        return nb, resources

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> Any:
        self.at = index
        if index in self.left_out:
            cell.outputs = [_error("it ended the kernel (exit, os._exit, or too much memory)")]
            return cell, resources
        return super().preprocess_cell(cell, resources, index)

    def on_cell_executed(self, **told: Any) -> None:
        super().on_cell_executed(**told)
        if how := ended(told["execute_reply"]["content"]):
            raise DeadKernelError(how)

    async def async_start_new_kernel(self, **kwargs: Any) -> None:
        here = Path(self.resources.get("metadata", {}).get("path") or ".").resolve()
        above = here.parents[2:3]  # the notebook lies in COURSE/autograded/STUDENT/ASSIGNMENT
        told = environment(here, self.my_llama, [c for c in above if (c / CONFIG).is_file()])
        told |= {name: str(self.my_llama) for name in ("TMPDIR", "TEMP", "TMP", "IPYTHONDIR")}
        told["MPLCONFIGDIR"] = str(self.my_llama)
        self.km.connection_file = str(self.my_llama / "kernel.json")
        await super().async_start_new_kernel(**(kwargs | {"env": told}))

    start_new_kernel = run_sync(async_start_new_kernel)

    async def async_start_new_kernel_client(self) -> Any:
        client = await super().async_start_new_kernel_client()
        try:
            await self._prepare(client)
        except Exception:
            await self._async_cleanup_kernel()
            raise
        return client

    async def _prepare(self, client: Any) -> None:
        """RuntimeError if the kernel has no wall, queue.Empty if it says nothing at all: no cell of
        the student's is run. Waiting, so that loading the course is not the first cell's time."""
        asked = client.execute(
            f"{INSIDE}.prepare({self.megabytes})", silent=True, store_history=False
        )
        for _ in range(10):
            reply = await client.get_shell_msg(timeout=300)
            if reply["parent_header"].get("msg_id") == asked:
                said = reply["content"]
                if said.get("status") == "ok":
                    return
                words = f"{said.get('ename')}: {said.get('evalue')}"
                raise RuntimeError(f"no kernel can be made ready for grading ({words})")
        raise RuntimeError("no kernel can be made ready for grading (it gave no answer)")

    start_new_kernel_client = run_sync(async_start_new_kernel_client)

    def process_message(self, msg: Any, cell: Any, cell_index: int) -> Any:
        """Take a message of the kernel's; of what a cell puts out, no more than MOST."""
        if msg["msg_type"] in OUTPUTS:
            size = self.sizes.get(cell_index, 0) + len(str(msg["content"]))
            self.sizes[cell_index] = size
            if size > MOST:
                return None
        return super().process_message(msg, cell, cell_index)


def _error(says: str) -> Any:
    return new_output("error", ename="KernelEnded", evalue=says, traceback=[f"KernelEnded: {says}"])
