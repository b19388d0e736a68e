/* The outputs of a ternary matrix times a vector, with TFLM's requantisation. */
#include "le_trits_macros_avr.h"

LE_OUTPUTS_OF_FIVE le_outputs_of_five_double_avr_s8, LE_LOAD_OUTPUT_DOUBLE, LE_REQUANTIZE_DOUBLE, 1
