"""Trains, continues, saves and reads where TensorFlow cannot be imported; prints JSON."""

import json
import pathlib
import sys


class WithoutTensorFlow:
    """A finder of modules that does not find TensorFlow, as where it is not installed."""

    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            return None
        return self.finder.find_spec(name, path, target)


sys.meta_path[:] = [WithoutTensorFlow(finder) for finder in sys.meta_path]

from crnn_keras import Recognizer, build_crnn, open_batches, train  # noqa: E402
from crnn_keras.images.augmentation import Augmentation  # noqa: E402


def main(records, folder):
    """Trains two epochs at once, and one and then another; augments on the CPU and the device."""
    training, validation = open_batches(records, batch_size=8, augment=0.5, random_erasing=0.5)
    augmentation = Augmentation.strong(0.5)

    def run(name, epochs):
        model = build_crnn(training.char_dict, training.canvas, augmentation=augmentation)
        history = train(
            model,
            training,
            validation,
            folder=folder / name,
            epochs=epochs,
            steps_per_epoch=2,
            schedule="constant",
        )
        return model, [row["train_loss"] for row in history]

    _, unbroken = run("unbroken", 2)
    run("continued", 1)
    model, continued = run("continued", 2)
    loaded = Recognizer.load(folder / "continued" / "last.keras")
    images = [record.encoded for record in training.records][:3]
    texts = [
        [prediction.text for prediction in reader.read(images)]
        for reader in (Recognizer(model), loaded)
    ]
    print(
        json.dumps(
            {
                "unbroken": unbroken,
                "continued": continued,
                "texts": texts,
                "layers": len(model.layers) - len(loaded.model.layers),
                "imported": sorted(name for name in sys.modules if name.startswith("tensorflow")),
            }
        )
    )


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
