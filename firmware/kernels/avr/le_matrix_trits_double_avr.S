/* Weights that are trits, with TFLM's requantisation. */
#include "le_matrix_macros_avr.h"

LE_MATRIX le_groups_trits_double_avr_s8, 0, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE
