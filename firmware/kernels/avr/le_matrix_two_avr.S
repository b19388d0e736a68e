/* Weights of two bits. */
#include "le_matrix_macros_avr.h"

LE_MATRIX le_groups_two_avr_s8, 2
