/* Weights of four bits. */
#include "le_matrix_macros_avr.h"

LE_MATRIX le_groups_four_avr_s8, 4
