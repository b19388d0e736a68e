#include "le_self_test.h"

#include "le_crc32.h"
#include "le_golden.h"

#if LE_GOLDEN_PICTURES != 1
#error "these golden logits are for other pictures: build the firmware again"
#endif

/* Golden picture `number`: noise from xorshift32 (Marsaglia, "Xorshift RNGs", 2003), so that it takes no flash. Of odd
 * numbers each pixel is black or white, which drives accumulators far. lenet_edge/hardware/firmware.py has the same. */
static void draw(int8_t *image, uint8_t number)
{
    uint32_t state = 2463534242u + number;
    for (uint16_t i = 0; i < LE_INPUT_BYTES; i++) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        const uint8_t pixel = (uint8_t)(state >> 24);
        image[i] = (int8_t)(number % 2 == 0 ? pixel - 128 : pixel < 128 ? -128 : 127);
    }
}

static uint8_t golden_differ(le_memory *memory, int8_t *image)
{
    int8_t logits[LE_OUTPUTS];
    uint8_t differ = 0;
    for (uint8_t number = 0; number < LE_GOLDEN_COUNT; number++) {
        draw(image, number);
        le_run(memory, image, logits);
        for (uint16_t i = 0; i < LE_OUTPUTS; i++) {
            if (logits[i] != le_golden_logits[number][i]) {
                differ = 1;
            }
        }
    }
    return differ;
}

uint8_t le_self_test(le_memory *memory, int8_t *image)
{
    uint8_t failed = LE_SELF_TEST_PASSED;
    if (le_fold_tables(LE_CRC32_OF_TABLE) != LE_TABLE_CRC32) {
        failed |= LE_SELF_TEST_TABLES;
    }
    if (golden_differ(memory, image)) {
        failed |= LE_SELF_TEST_GOLDEN;
    }
    return failed;
}
