/* What the harness conformance.c asks of the runtime under test. */

#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include <stddef.h>
#include <stdint.h>

enum { CONFORMANCE_DONE = 0, CONFORMANCE_UNSUPPORTED = 1 };

typedef struct {
    unsigned long number; /* from 0; another number is another model */
    const char *name;
    const char *tflite; /* paths of the model's forms */
    const char *onnx;
    const char *onnx_qoperator;
    size_t input_bytes, output_bytes; /* of one inference; several tensors lie one behind the other */
} conformance_case;

/*
 * To be written by the user: one inference.
 *
 * It is called for each input of a case, case after case; while item->number stays, so does the model.
 * `input` and `output` are int8 in the order rows, columns, channels. All of `output` is to be written.
 *
 * Returns CONFORMANCE_DONE; CONFORMANCE_UNSUPPORTED where the runtime does not take this model, which is reported and
 * is no failure; anything else is a failure.
 */
int conformance_infer(const conformance_case *item, const int8_t *input, int8_t *output);

#endif
