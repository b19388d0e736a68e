/* Images from standard input, logits to standard output; then the same in place. */
#include <stdio.h>
#include <string.h>

#include "le_model.h"

#ifndef LE_OUTPUTS
#define LE_OUTPUTS LE_CLASSES
#endif

int main(void)
{
    static int8_t image[LE_INPUT_BYTES];
    static le_workspace workspace;
    static le_in_place memory;
    int8_t logits[2][LE_OUTPUTS];
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        memset(&workspace, 0xA5, sizeof workspace);
        memset(&memory, 0x5A, sizeof memory);
        memcpy((int8_t *)&memory + LE_IN_PLACE_IMAGE, image, sizeof image);
        (void)le_infer_with(&workspace, image, logits[0]);
        (void)le_infer_in_place(&memory, logits[1]);
        fwrite(logits, 1, sizeof logits, stdout);
    }
    return 0;
}
