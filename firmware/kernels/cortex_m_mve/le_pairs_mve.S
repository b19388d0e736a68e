/* Two positions of a convolution by four outputs on the tie-free grid. */
#define LE_NAME le_pairs_mve_s8
#include "le_pairs_mve.h"
