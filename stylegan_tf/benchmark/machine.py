"""What of the machine decides about speed: the CPU's instructions for matrices, and whether oneDNN is on."""

import os

import cpuinfo

# What to look for among the flags of a CPU, and how it is called in the table.
_FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_bf16": "AVX512-BF16",
    "amx_bf16": "AMX (bfloat16)",
    "asimd": "NEON",
    "bf16": "BF16",
}


def machine_line() -> str:
    """E.g. "AMD EPYC 7003, 2 cores: AVX2; oneDNN on (TF_ENABLE_ONEDNN_OPTS=1)"."""
    info = cpuinfo.get_cpu_info()
    flags = set(info.get("flags", ()))
    features = [name for flag, name in _FEATURES.items() if flag in flags] or ["none of the instructions looked for"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{info.get('brand_raw', 'unknown CPU')}, {cores} cores: {', '.join(features)}; {_onednn(os.environ)}"


def _onednn(environment) -> str:
    """As the environment has it: the commands of this package set the variable where the user did not."""
    setting = environment.get("TF_ENABLE_ONEDNN_OPTS")
    state = {None: "as TensorFlow chooses", "0": "off"}.get(setting, "on")
    limit = environment.get("ONEDNN_MAX_CPU_ISA")
    named = "" if setting is None else f" (TF_ENABLE_ONEDNN_OPTS={setting})"
    return f"oneDNN {state}{named}" + (f", told to use at most {limit}" if limit else "")
