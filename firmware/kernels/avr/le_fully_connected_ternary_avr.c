/* Matrix times vector with weights of -1, 0 and 1; the loops are in le_matrix_macros_avr.h. Behind the inputs weights are 0. */
#include "le_vector_avr.h"

void le_fully_connected_ternary_avr_s8(LE_TABLE le_matrix_avr *matrix, uint8_t in_byte, le_groups_function_avr *groups,
                                       const int8_t *input, int8_t *scratch, int8_t *output)
{
    const uint16_t inputs = matrix->inputs, passes = (uint16_t)((inputs + in_byte - 1) / in_byte);
    uint8_t *x = (uint8_t *)scratch;
    for (const int8_t *const end = input + inputs; input != end; input++) {
        *x++ = (uint8_t)(*input ^ 0x80);
    }
    le_vector_avr vector = {
        .input = (const uint8_t *)scratch, .output = output, .passes = passes, .outputs = matrix->outputs,
        .table = matrix->table,
    };
    groups(&vector);
}
