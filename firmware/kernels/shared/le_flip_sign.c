#include "le_kernels.h"

void le_flip_sign_s8(uint8_t *pixels, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pixels[i] ^= 0x80;
    }
}
