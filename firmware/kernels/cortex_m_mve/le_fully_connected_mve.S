/* Matrix times vector on the tie-free grid. */
#include "le_matrix_mve.h"
