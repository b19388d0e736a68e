/* Weights of a byte each. */
#include "le_matrix_macros_avr.h"

LE_MATRIX le_groups_avr_s8, 8
