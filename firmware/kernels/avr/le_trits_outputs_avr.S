/* The outputs of a ternary matrix times a vector. */
#include "le_trits_macros_avr.h"

LE_OUTPUTS_OF_FIVE le_outputs_of_five_avr_s8
