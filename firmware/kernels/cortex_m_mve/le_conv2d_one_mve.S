/* A row of windows of one input channel, on the tie-free grid. */
#include "le_one_row_mve.h"
