/* Matrix times vector; the loop is in le_matrix_avr.S. */
#include "le_avr.h"

/* As le_matrix_avr.S has it; offsets are there. */
typedef struct {
    uint8_t start[3];     /* of the accumulators, int24 */
    const uint8_t *input; /* x + 128 */
    int8_t *output;
    uint16_t quarter; /* of the number of inputs */
    uint16_t outputs;
    LE_TABLE uint8_t *table;
} le_vector_avr;

void le_groups_avr_s8(le_vector_avr *vector);

void le_fully_connected_avr_s8(LE_TABLE le_matrix_avr *matrix, const int8_t *input, int8_t *scratch, int8_t *output)
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
    sum = 0 - (sum << 7);
    le_vector_avr vector = {
        {(uint8_t)sum, (uint8_t)(sum >> 8), (uint8_t)(sum >> 16)},
        (const uint8_t *)scratch, output, LE_AVR_PADDED(inputs) / 4, matrix->outputs, matrix->table,
    };
    le_groups_avr_s8(&vector);
}
