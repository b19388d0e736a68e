"""The text of the exported sources; `$name` and the like are filled in by `writer`."""

from __future__ import annotations

from string import Template

__all__ = ["ARENA_HEADER", "MAIN_SOURCE", "MODEL_HEADER", "MODEL_SOURCE", "RESOLVER_HEADER", "SETTINGS_HEADER"]

_BANNER = """\
// $file: $what
//
// Model fingerprint: $fingerprint
// Written by lenet-edge $version.
"""

MODEL_HEADER = Template(
    _BANNER
    + """
#ifndef $guard
#define $guard

extern const unsigned char $array[];
extern const $length_type $length;

#endif  // $guard
"""
)

# The header makes the constants visible to other files, the alignment lets TFLM read the weights in place.
MODEL_SOURCE = Template(
    _BANNER
    + """$note
#include "$header"

alignas(16) const unsigned char $array[] = {
$bytes
};
const $length_type $length = $count;
"""
)

RESOLVER_HEADER = Template(
    _BANNER
    + """
#ifndef $guard
#define $guard

#include "tensorflow/lite/core/c/common.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

namespace $namespace {

using OpResolver = tflite::MicroMutableOpResolver<$count>;

// Adds the operators of the model and no other, so that the linker drops the other kernels.
inline TfLiteStatus RegisterOps(OpResolver& op_resolver) {
$calls
  return kTfLiteOk;
}

}  // namespace $namespace

#endif  // $guard
"""
)

SETTINGS_HEADER = Template(
    _BANNER
    + """
#ifndef $guard
#define $guard

#include <cstdint>

namespace $namespace {

constexpr char kFingerprint[] = "$fingerprint";

$about_input
$input_sizes
$input_scaling

$about_output
$counts
$output_scaling
$class_names
$quantize

}  // namespace $namespace

#endif  // $guard
"""
)

ARENA_HEADER = Template(
    _BANNER
    + """
#ifndef $guard
#define $guard

#include <cstddef>

namespace $namespace {

// Measured with $measured_with on a 64-bit host, with TFLM's reference kernels:
//
//   head (non-persistent) $head bytes: activations and scratch buffers, planned to overlap
//   tail (persistent)     $tail bytes: structures of the interpreter and of the kernels
//   smallest arena        $smallest bytes: the smallest that could be allocated and run; above
//                         head + tail where the allocation itself needs more than the inference
//
// On a 32-bit target the head takes the same bytes, since activations are int8 everywhere. The
// tail and the temporary structures hold pointers and sizes, 4 bytes there and 8 here, and take
// less. With the kernels that were measured this constant is therefore an upper bound; it is
// rounded up to 16, with 16 more for an array that the linker does not align to 16.
// Another TFLM release can have larger structures: on the target,
// tflite::MicroInterpreter::arena_used_bytes() after AllocateTensors() gives its own figure.
constexpr std::size_t kTensorArenaSize = $size;

// CMSIS-NN's kernels take a scratch buffer from the arena (im2col columns in a convolution).
// Each lives during its own operator only, so the planner overlaps them: the head is to grow by the
// largest one, here $scratch bytes, the larger of what CMSIS-NN's get_buffer_size functions give for
// cores with the DSP extension and for those with MVE. The constant adds 16 per operator for
// alignment and handles. It is computed from the layers' shapes, not measured: see above.
constexpr std::size_t kCmsisNnScratchSize = $scratch_rounded;
constexpr std::size_t kTensorArenaSizeCmsisNn = kTensorArenaSize + kCmsisNnScratchSize;

}  // namespace $namespace

#endif  // $guard
"""
)

MAIN_SOURCE = Template(
    _BANNER
    + """
#include <cstddef>
#include <cstdint>

#include "$arena_header"
#include "$model_header"
#include "$settings_header"
#include "$resolver_header"
#include "tensorflow/lite/core/c/common.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

#ifdef CMSIS_NN  // TFLM's build defines it with OPTIMIZED_KERNEL_DIR=cmsis_nn
constexpr std::size_t kArenaSize = $namespace::kTensorArenaSizeCmsisNn;
#else
constexpr std::size_t kArenaSize = $namespace::kTensorArenaSize;
#endif
alignas(16) uint8_t tensor_arena[kArenaSize];

$buffer

${class_of}TfLiteStatus Classify() {
  const tflite::Model* model = tflite::GetModel($array);
  if (model->version() != TFLITE_SCHEMA_VERSION) {
    MicroPrintf("The model has schema version %d, not %d", static_cast<int>(model->version()),
                TFLITE_SCHEMA_VERSION);
    return kTfLiteError;
  }

  $namespace::OpResolver op_resolver;
  TF_LITE_ENSURE_STATUS($namespace::RegisterOps(op_resolver));
  tflite::MicroInterpreter interpreter(model, op_resolver, tensor_arena, kArenaSize);
  TF_LITE_ENSURE_STATUS(interpreter.AllocateTensors());

$feed
  TF_LITE_ENSURE_STATUS(interpreter.Invoke());

$show
  return kTfLiteOk;
}

}  // namespace

int main() {
  tflite::InitializeTarget();
  return Classify() == kTfLiteOk ? 0 : 1;
}
"""
)
