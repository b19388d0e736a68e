/* Matrix times vector, six outputs at a time; the loop is in le_matrix_dsp.S. */
#include "le_dsp.h"

#include <string.h>

/* x, the layer's table, the end of x, outputs, bytes of code to leave out the first time; returns what follows in the table. */
typedef LE_TABLE uint32_t *le_six_outputs(const uint32_t *x, LE_TABLE uint32_t *table, const uint32_t *x_end,
                                          int8_t *output, uint32_t skipped_bytes);
le_six_outputs le_matrix_dsp_s8, le_matrix_double_dsp_s8, le_matrix_wide_dsp_s8, le_matrix_wide_double_dsp_s8;

static inline void multiply(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output,
                            le_six_outputs *six_outputs)
{
    uint32_t *const x = (uint32_t *)(void *)scratch, *const x_end = x + 2 * (size_t)matrix->steps;
    for (uint32_t *word = le_pairs_dsp_s8(input, matrix->inputs, x); word < x_end;) {
        *word++ = 0;
    }
    LE_TABLE uint32_t *table = matrix->table;
    const uint32_t odd = matrix->steps % LE_DSP_STEPS;
    const uint32_t skipped = odd == 0 ? 0 : (LE_DSP_STEPS - odd) * LE_DSP_STEP_BYTES;
    uint16_t left = matrix->outputs;
    for (; left > LE_DSP_OUTPUTS; left = (uint16_t)(left - LE_DSP_OUTPUTS), output += LE_DSP_OUTPUTS) {
        table = six_outputs(x, table, x_end, output, skipped);
    }
    int8_t last[LE_DSP_OUTPUTS];
    (void)six_outputs(x, table, x_end, last, skipped);
    memcpy(output, last, left);
}

void le_fully_connected_dsp_s8(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output)
{
    multiply(matrix, input, scratch, output, le_matrix_dsp_s8);
}

void le_fully_connected_double_dsp_s8(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output)
{
    multiply(matrix, input, scratch, output, le_matrix_double_dsp_s8);
}

void le_fully_connected_wide_dsp_s8(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch, int8_t *output)
{
    multiply(matrix, input, scratch, output, le_matrix_wide_dsp_s8);
}

void le_fully_connected_wide_double_dsp_s8(LE_TABLE le_dsp_matrix *matrix, const int8_t *input, int8_t *scratch,
                                           int8_t *output)
{
    multiply(matrix, input, scratch, output, le_matrix_wide_double_dsp_s8);
}
