"""Serves the page, from this machine to this machine: nothing is fetched from elsewhere, nothing is told to anybody."""

import socket

import gradio as gr
from starlette.middleware import Middleware

from stylegan_tf.explorer.page import CSS
from stylegan_tf.explorer.pictures import MOST_BYTES

# What the browser may load: from here only. Gradio's page has scripts and styles in it, and compiles templates.
_POLICY = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: blob:; "
    "frame-ancestors 'none'; base-uri 'self'; form-action 'self'"
)


class _Headers:
    """Adds the policy to every answer."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        async def send_with_headers(message):
            if message["type"] == "http.response.start":
                headers = [(b"content-security-policy", _POLICY.encode()), (b"referrer-policy", b"no-referrer")]
                message = {**message, "headers": [*message.get("headers", ()), *headers]}
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _free_port(host: str) -> int:
    with socket.create_server((host, 0)) as server:
        return server.getsockname()[1]


def serve(page: gr.Blocks, host: str, port: int, folder: str, open_browser: bool) -> None:
    """Until Ctrl-C. port: 0 for any that is free; folder: the one place that files may be downloaded from."""
    port = port or _free_port(host)
    page.launch(
        server_name=host, server_port=port, inbrowser=open_browser, share=False, quiet=True, ssr_mode=False, pwa=False,
        mcp_server=False, enable_monitoring=False, max_file_size=MOST_BYTES, footer_links=[], css=CSS,
        theme=gr.themes.Base(font=["system-ui", "sans-serif"], font_mono=["monospace"]),
        allowed_paths=[folder], app_kwargs={"middleware": [Middleware(_Headers)]}, prevent_thread_lock=True,
    )  # fmt: skip
    print(f"http://{host}:{port}", flush=True)
    page.block_thread()
