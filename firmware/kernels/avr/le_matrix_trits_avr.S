/* Weights that are trits. */
#include "le_matrix_macros_avr.h"

LE_MATRIX le_groups_trits_avr_s8, 0
