"""Serves a reader over HTTP: three protocols, one queue, on ONNX Runtime without Keras.

    pip install 'crnn_keras[serve]'
    crnn-keras serve words

| file | subject |
|---|---|
| `limits` | `Limits`: what a request, a client and all of them together may cost |
| `images` | images of strangers to texts, each with its own error |
| `batching` | `Batcher`: a queue, and threads that read what waits in batches |
| `service` | `Service`: what all protocols ask: images in, outcomes out |
| `errors` | `RequestError`: what a client did wrong, as a status and a sentence |
| `kserve` | the Open Inference Protocol (KServe v2), as Triton and others speak it |
| `tensors` | its tensors, in JSON and in binary |
| `tf_serving` | the REST interface of TensorFlow Serving |
| `read` | `POST /read`: images of a form, with options |
| `form` | a form in memory: its files and its fields |
| `pages` | the page to try it, the page of the interface; `page.html`, `docs.html` |
| `guard` | who may ask, and how large a request may be |
| `observe` | a line in the log and a measurement for each request |
| `metrics` | the measurements, for Prometheus |
| `logs` | lines of JSON without images and texts |
| `direct` | requests to read, answered without the router |
| `app` | `make_app`: all of the above as an ASGI application |
| `connection` | connections that send their headers slowly, or forever |
| `run` | `serve`: the application on a socket, until it is stopped |
"""

from crnn_keras.utils.extras import attach

__getattr__, __dir__, __all__ = attach(
    __name__, submod_attrs={"app": ["make_app"], "run": ["serve"]}
)
