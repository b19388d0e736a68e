"""A stand-in for TFLM's headers, against which the exported example is compiled and run."""

from __future__ import annotations

from pathlib import Path

import cpp_programs
from cpp_programs import run
from written_trees import write

STRICT = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pedantic"]

ALL_CALLS = ["Conv2D", "MaxPool2D", "FullyConnected", "Reshape", "Logistic", "Tanh"]
ALL_CALLS += ["DepthwiseConv2D", "AveragePool2D", "Softmax", "Quantize", "Dequantize", "Add"]

FAKE_TFLM = {
    "tensorflow/lite/core/c/common.h": """
#pragma once
#include <cstddef>
#include <cstdint>
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
union TfLitePtrUnion { int8_t* int8; uint8_t* uint8; float* f; };
struct TfLiteTensor { TfLitePtrUnion data; };
#define TF_LITE_ENSURE_STATUS(a) do { const TfLiteStatus s = (a); if (s != kTfLiteOk) { return s; } } while (0)
""",
    "tensorflow/lite/micro/micro_mutable_op_resolver.h": """
#pragma once
#include <cstdio>
#include "tensorflow/lite/core/c/common.h"
namespace tflite {
struct MicroOpResolver { unsigned count = 0; };
template <unsigned int tOpCount> class MicroMutableOpResolver : public MicroOpResolver {
  TfLiteStatus Add(const char* name) {
    std::printf("add %s\\n", name);
    return count++ < tOpCount ? kTfLiteOk : kTfLiteError;
  }
 public:
  static constexpr unsigned kCapacity = tOpCount;
"""
    + "".join(f'  TfLiteStatus Add{call}() {{ return Add("{call}"); }}\n' for call in ALL_CALLS)
    + "};\n}\n",
    "tensorflow/lite/schema/schema_generated.h": """
#pragma once
#include <cstdint>
#define TFLITE_SCHEMA_VERSION (3)
namespace tflite {
struct Model { uint32_t version() const { return 3; } };
inline const Model* GetModel(const void* buffer) { return static_cast<const Model*>(buffer); }
}
""",
    "tensorflow/lite/micro/micro_interpreter.h": """
#pragma once
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
namespace tflite {
class MicroInterpreter {
  int8_t in_[4096], out_[64] = {1, 2, 9, 4}, in_2_[64];
  TfLiteTensor input_{{in_}}, output_{{out_}}, input_2_{{in_2_}};
 public:
  MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t*, size_t size) { std::printf("arena %zu\\n", size); }
  TfLiteStatus AllocateTensors() { return kTfLiteOk; }
  TfLiteStatus Invoke() { std::printf("first %d\\n", in_[0]); return kTfLiteOk; }
  TfLiteTensor* input(size_t number) { return number ? &input_2_ : &input_; }
  TfLiteTensor* output(size_t) { return &output_; }
  size_t arena_used_bytes() const { return 7; }
};
}
""",
    "tensorflow/lite/micro/micro_log.h": """
#pragma once
#include <cstdio>
template <typename... Args> void MicroPrintf(const char* format, Args... args) { std::printf(format, args...); }
""",
    "tensorflow/lite/micro/system_setup.h": "#pragma once\nnamespace tflite { inline void InitializeTarget() {} }\n",
}


def build_example(folder: Path, files: dict[str, bytes], *options: str) -> str:
    """What the example prints when it runs against the stand-in."""
    write(folder, files)
    write(folder / "fake", {name: text.encode() for name, text in FAKE_TFLM.items()})
    sources = [folder / name for name in files if name.endswith(".cc")]
    strict = [option for option in STRICT if option != "-Werror"] + ["-Werror", "-Wno-format-security"]
    flags = [*strict, *options, f"-isystem{folder / 'fake'}", f"-I{folder}"]
    return run(cpp_programs.build(folder / "example", sources, *flags)).decode()
