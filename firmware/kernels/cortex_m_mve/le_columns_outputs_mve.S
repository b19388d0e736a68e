/* The outputs of a strip of columns, on the tie-free grid. */
#include "le_columns_outputs_mve.h"
