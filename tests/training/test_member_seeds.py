"""Members of one kind with seeds of their own: what makes a tier out of one architecture."""

import numpy as np

from tests.running import run

MEMBER = "{family:timm,architecture:test_resnet,in_chans:1,image_size:8,training:{seed:%d}}"


def test_a_members_own_seed_decides_its_weights_and_its_order_of_batches(tmp_path):
    run(
        "train",
        tmp_path / "job",
        *(f"~models.members.{name}" for name in ("resnet_16px", "resnet_32px", "resnet10t_32px")),
        *(
            f"+models.members.{name}={MEMBER % seed}"
            for name, seed in (("a", 1), ("b", 1), ("c", 2))
        ),
        "data.limit_train=40",
        "trainer.max_epochs=1",
        "callbacks=[checkpoint]",
        "trainer.accelerator=cpu",
        "logger=none",
        "evaluate=false",
    )
    said = {
        name: np.load(tmp_path / "job" / "recordings" / "report" / f"{name}.npy") for name in "abc"
    }
    assert said["a"].tolist() == said["b"].tolist()
    assert (said["a"] != said["c"]).any()
