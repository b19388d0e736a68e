/* What the kernels share whose loop is in le_matrix_macros_avr.h. */
#ifndef LE_VECTOR_AVR_H
#define LE_VECTOR_AVR_H

#include "le_avr.h"

/* As le_matrix_macros_avr.h has it; offsets are there. */
typedef struct le_vector_avr {
    uint8_t start[3];     /* of the accumulators, int24 */
    const uint8_t *input; /* x + 128 */
    int8_t *output;
    uint16_t passes; /* over all inputs, four of them at a time, or five */
    uint16_t outputs;
    LE_TABLE uint8_t *table;
} le_vector_avr;

/* offset: a power of two, of the weights. */
static inline void le_fully_connected_by(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch,
                                         int8_t *output, uint8_t offset, void (*groups)(le_vector_avr *vector))
{
    const uint16_t inputs = matrix->inputs;
    uint8_t *x = (uint8_t *)scratch;
    uint32_t sum = 0;
    for (const int8_t *const end = input + inputs; input != end; input++) {
        const uint8_t value = (uint8_t)(*input ^ 0x80);
        *x++ = value;
        sum += value;
    }
    for (uint8_t *const end = (uint8_t *)scratch + LE_AVR_PADDED(inputs); x != end; x++) {
        *x = 0;
    }
    sum = 0 - sum * offset;
    le_vector_avr vector = {
        {(uint8_t)sum, (uint8_t)(sum >> 8), (uint8_t)(sum >> 16)},
        (const uint8_t *)scratch, output, LE_AVR_PADDED(inputs) / 4, matrix->outputs, matrix->table,
    };
    groups(&vector);
}

#endif
