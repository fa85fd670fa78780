"""Records in batches: decoded, augmented, in an order that is a pure function of the seed.

The batch of step `s` depends on `(records, seed, s)` alone, so a run that is continued at step `s`
sees what an unbroken run would have seen.
"""

import numpy as np

from crnn_keras.char_dict import BLANK, PROTOCOLS
from crnn_keras.data.labels import Problem, check_label
from crnn_keras.images import PIXELS_PER_FRAME, to_canvas
from crnn_keras.utils.backend import tensorflow_for_input


class Batches:
    """Batches of one set of records.

    Args:
        records: a `records.Records`, `records.ManifestRecords` or `records.ConcatRecords`.
        char_dict: a `CharDict`.
        canvas: an `images.Canvas`.
        batch_size: images in a batch; every batch is full.
        seed: integer, for the order and the augmentation.
        shuffle: whether each pass has an order of its own.
        augment: how much each image is bent, shifted, lit, blurred and roughened, otherwise at
            each step: from 0 (or False), not at all, to 1 (or True).
        cache_bytes: decoded canvases are kept in memory up to this size; beyond it they are
            decoded at each pass.
        protocol: rule that labels are taken by: `"exact"`, or `"alphanumeric"`, that of the field's
            benchmarks, so that records of `Hello!` train a reader to read `hello`.
        part: `(rank, processes)`: `training` gives this process its part of the same batches,
            the rows of rank 0 first; see `distribute.scope`.
        hide: share of images that lose a strip, up to a letter wide, otherwise at each step: what
            stood there must be told from its neighbours, so words are learnt as well as letters.

    Attributes:
        labels: int32 array `(samples, longest label)` of ids, padded with 0.
        frames: int32 array `(samples,)`, the frames of each image.
        widths: int array `(samples,)`, the canvas width of each image in pixels.
        texts: list of the labels.
        skipped: list of `Problem`s: records whose label cannot be trained on. They are in no
            batch; `labels` and its like do not count them.

    Raises:
        ValueError: no record is usable, a batch cannot be divided by the processes, or the protocol
            is unknown.
    """

    def __init__(
        self,
        records,
        char_dict,
        canvas,
        batch_size,
        seed=0,
        shuffle=False,
        augment=False,
        cache_bytes=2**30,
        part=(0, 1),
        protocol="exact",
        hide=0.0,
    ):
        rank, processes = part
        if batch_size % processes:
            raise ValueError(
                f"A batch of {batch_size} cannot be shared by {processes} processes. Take a batch "
                f"size that {processes} divides, such as {-(-batch_size // processes) * processes}."
            )
        share = batch_size // processes
        if protocol not in PROTOCOLS:
            raise ValueError(
                f"Protocol {protocol!r} is unknown. Expected one of {list(PROTOCOLS)}."
            )
        self._part = slice(rank * share, (rank + 1) * share)
        self.records = records
        self.char_dict = char_dict
        self.canvas = canvas
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.augment = float(augment)
        self.hide = float(hide)
        self.protocol = protocol
        self._canvases, self._cache_room = {}, cache_bytes
        self.skipped, self._positions, texts, sizes = [], [], [], []
        for position, record in enumerate(records.scan()):
            if isinstance(record, Problem):
                self.skipped.append(record)
                continue
            text = PROTOCOLS[protocol](record.text)
            problem = self._problem(position, record, text)
            if problem:
                self.skipped.append(problem)
                continue
            self._positions.append(position)
            texts.append(char_dict.normalize(text))
            sizes.append((record.height, record.width))
        if not texts:
            first = f" The first: {self.skipped[0].reason}" if self.skipped else ""
            raise ValueError(f"{records.folder} has no usable record.{first}")
        self.texts = texts
        ids = [char_dict.encode(text) for text in texts]
        self.labels = np.full((len(ids), max(map(len, ids))), BLANK, np.int32)
        for row, label in zip(self.labels, ids, strict=True):
            row[: len(label)] = label
        self.widths = np.array([canvas.fit(*size)[1] for size in sizes])
        self.frames = (self.widths // PIXELS_PER_FRAME).astype(np.int32)

    def _problem(self, position, record, text):
        frames = self.canvas.frames(record.height, record.width)
        where = f"{self.records.place(position)} ({record.source})"
        return check_label(text, self.char_dict, frames, where)

    def __len__(self):
        """Number of usable records."""
        return len(self.texts)

    @property
    def steps_per_epoch(self):
        """Batches in which every record comes at least once."""
        _, counts = np.unique(self.widths, return_counts=True)
        return int(np.sum(-(-counts // self.batch_size)))

    def plan(self, number):
        """Which records make up the batches of a pass.

        Args:
            number: number of the pass, from 0.

        Returns:
            int array `(steps_per_epoch, batch_size)` of positions. A batch holds one canvas
            width; the last of a width is filled up with that width's first records.
        """
        return self._plan(number, self.shuffle)

    def _plan(self, number, shuffle):
        rng = np.random.default_rng([self.seed, 6, number])
        rows = []
        for width in np.unique(self.widths):
            members = np.flatnonzero(self.widths == width)
            members = rng.permutation(members) if shuffle else members
            filled = -(-len(members) // self.batch_size) * self.batch_size
            rows.append(np.resize(members, filled).reshape(-1, self.batch_size))
        plan = np.concatenate(rows)
        return rng.permutation(plan) if shuffle else plan

    def sources(self, step):
        """Names the records of a step's batch; each is read from the disk for that.

        Args:
            step: number of the step, from 0.

        Returns:
            List of strings, such as `"data/x/records/train, record 7 (b.png), label 'hello'"`. A
            record that fills up the batch by coming twice is named once.

        Raises:
            ValueError, OSError: a record cannot be read; the message names its file.
        """
        number, row = divmod(step, self.steps_per_epoch)
        names = []
        for index in dict.fromkeys(self.plan(number)[row].tolist()):
            position = self._positions[index]
            source = self.records[position].source
            where = f"{self.records.place(position)} ({source})"
            names.append(f"{where}, label {self.texts[index]!r}")
        return names

    def _canvas(self, index):
        """The canvas of a usable record; kept in memory while there is room."""
        canvas = self._canvases.get(index)
        if canvas is None:
            record = self.records[self._positions[index]]
            canvas = to_canvas(record.encoded, self.canvas)
            if self._cache_room >= canvas.nbytes:
                self._cache_room -= canvas.nbytes
                self._canvases[index] = canvas
        return canvas

    def _steps(self, start, stop, shuffle, rows):
        """Rows of the batches of steps `start` to `stop` (None: without end), not augmented."""
        step, plan, number = start, None, None
        while stop is None or step < stop:
            wanted = step // self.steps_per_epoch
            if wanted != number:
                plan, number = self._plan(wanted, shuffle), wanted
            chosen = plan[step % self.steps_per_epoch][rows]
            canvases = np.stack([self._canvas(index) for index in chosen])
            yield canvases, self.labels[chosen], self.frames[chosen], np.int64(step)
            step += 1

    def _pipeline(self, start, stop, shuffle, rows):
        tf = tensorflow_for_input()
        batch = rows.stop - rows.start
        width = self.canvas.widths[0] if len(self.canvas.widths) == 1 else None
        steps = tf.data.Dataset.from_generator(
            lambda: self._steps(start, stop, shuffle, rows),
            output_signature=(
                tf.TensorSpec((batch, self.canvas.height, width, 1), tf.uint8),
                tf.TensorSpec((batch, self.labels.shape[1]), tf.int32),
                tf.TensorSpec((batch,), tf.int32),
                tf.TensorSpec((), tf.int64),
            ),
        )

        def finish(canvases, labels, frames, step):
            if self.augment:
                canvases = _augment(
                    tf, canvases, self.seed, step, self.batch_size, rows, self.augment
                )
            if self.hide:
                canvases = _hide(tf, canvases, self.seed, step, self.batch_size, rows, self.hide)
            return {"canvas": canvases, "labels": labels, "frames": frames}

        return steps.map(finish, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    def training(self, start_step=0):
        """Batches without end for `keras.Model.fit`.

        Args:
            start_step: number of the first step.

        Returns:
            `tf.data.Dataset` of `(inputs, zeros)`; inputs is a dict of `canvas` (uint8
            `(batch, height, width, 1)`), `labels` (int32 `(batch, longest label)`) and `frames`
            (int32 `(batch,)`). The zeros stand where Keras wants targets: `CTCLayer`'s output is
            the loss already.
        """
        batches = self._pipeline(start_step, None, self.shuffle, self._part)
        zeros = np.zeros(self._part.stop - self._part.start, np.float32)
        return batches.map(lambda inputs: (inputs, zeros))

    def once(self):
        """Every record once, in order of canvas width, not augmented unless told to.

        Yields:
            Tuple of the inputs as numpy arrays (see `training`) and the positions of the records
            in `texts`. The last batch of a width may repeat records: positions are then fewer
            than the batch, and count its first rows.
        """
        seen = set()
        # Never shuffled: the records that fill up a batch must have come in an earlier one.
        whole = slice(0, self.batch_size)
        batches = self._pipeline(0, self.steps_per_epoch, False, whole).as_numpy_iterator()
        for chosen, inputs in zip(self._plan(0, False), batches, strict=True):
            fresh = [int(i) for i in dict.fromkeys(chosen) if i not in seen]
            seen.update(fresh)
            yield inputs, fresh


def _augment(tf, canvases, seed, step, whole, rows, strength):
    """Bends, shifts, lights, blurs and roughens each canvas, by stateless random numbers.

    They are drawn for the whole batch, of which `canvases` are some rows: so an image is changed
    in the same way whichever process has it.
    """
    batch, height = canvases.shape[0], canvases.shape[1]
    width = tf.cast(tf.shape(canvases)[2], tf.float32)
    key = tf.stack([tf.cast(seed, tf.int64), step])
    draws = tf.random.stateless_uniform([10, whole], key)[:, rows]

    def uniform(row, low, high, neutral=0.0):
        return neutral + strength * (low - neutral + (high - low) * draws[row])

    # Where in the old canvas each pixel of the new one lies: around the middle, then shifted.
    across, slant = uniform(0, 0.92, 1.08, 1), uniform(1, -0.35, 0.35)
    angle, down = uniform(2, -0.06, 0.06), uniform(3, 0.85, 1.15, 1)
    middle_x, middle_y = width / 2, height / 2
    offset_x = middle_x - across * middle_x - slant * middle_y + uniform(4, -3.0, 3.0)
    offset_y = middle_y - angle * middle_x - down * middle_y + uniform(5, -2.0, 2.0)
    zeros = tf.zeros(batch)
    bent = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(canvases, tf.float32),
        transforms=tf.stack([across, slant, offset_x, angle, down, offset_y, zeros, zeros], axis=1),
        output_shape=tf.shape(canvases)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )
    # Half of the images lose some sharpness: a mix with their own 3 x 3 mean.
    soft = tf.maximum(uniform(6, -0.8, 0.8), 0.0)[:, None, None, None]
    bent = (1 - soft) * bent + soft * tf.nn.avg_pool2d(bent, 3, 1, "SAME")
    contrast = uniform(7, 0.7, 1.25, 1)[:, None, None, None]
    light = uniform(8, -30.0, 30.0)[:, None, None, None]
    grain = tf.random.stateless_normal([whole, *tf.unstack(tf.shape(bent))[1:]], key + 1)[rows]
    grain *= tf.maximum(uniform(9, -10.0, 10.0), 0.0)[:, None, None, None]
    lit = (bent - 127.5) * contrast + 127.5 + light + grain
    return tf.cast(tf.clip_by_value(lit, 0.0, 255.0), tf.uint8)


def _hide(tf, canvases, seed, step, whole, rows, share):
    """Fills a strip of some canvases with their mean; see `_augment` for the random numbers."""
    width = tf.cast(tf.shape(canvases)[2], tf.float32)
    key = tf.stack([tf.cast(seed, tf.int64), step]) + 2
    chosen, place, size = tf.unstack(tf.random.stateless_uniform([3, whole], key)[:, rows])
    # Up to an eighth of the canvas.
    reach = tf.where(chosen < share, width * (0.02 + 0.1 * size) / 2, 0.0)
    away = tf.abs(tf.range(width) + 0.5 - (place * width)[:, None])
    strip = (away < reach[:, None])[:, None, :, None]
    greys = tf.cast(canvases, tf.float32)
    means = tf.reduce_mean(greys, axis=(1, 2, 3), keepdims=True)
    return tf.cast(tf.where(strip, means, greys), tf.uint8)
