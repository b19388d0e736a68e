/* RP2040's second boot stage: the first 256 bytes of the flash.
 *
 * The boot ROM copies them to the end of the RAM, compares the CRC in the last word and jumps to the first instruction
 * (RP2040 Datasheet, 2.8.1). So this runs wherever it was put. It lets the core execute from the flash through the SSI,
 * with the one read command that every serial flash has, then starts the firmware as a core without boot ROM would.
 *
 * Source: RP2040 Datasheet, 4.10 (SSI) and 2.6.3 (flash); Armv6-M Architecture Reference Manual, B1.5 and B3.2.5. */
    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .equ SSI, 0x18000000
    .equ CTRLR0, 0x00
    .equ CTRLR1, 0x04
    .equ SSIENR, 0x08
    .equ BAUDR, 0x14
    .equ SPI_CTRLR0, 0xF4
    .equ VTOR, 0xE000ED08
    .equ VECTORS, 0x10000100

    .equ CLOCK_DIVISOR, 2            /* an even number; 12 MHz / 2, and 03h is good for 50 MHz */
    .equ FRAMES_32_BITS, 31 << 16    /* DFS_32 */
    .equ EEPROM_READ, 3 << 8         /* TMOD: send the address, then receive; SPI_FRF is 0: one data line */
    .equ READ_COMMAND, 0x03 << 24    /* XIP_CMD: read data, with an address of 24 bits and no wait */
    .equ COMMAND_8_BITS, 2 << 8      /* INST_L */
    .equ ADDRESS_24_BITS, 6 << 2     /* ADDR_L, in units of 4 bits */

    .section .boot, "ax"
    .balign 4
le_boot:
    ldr r0, =SSI
    movs r1, #0
    str r1, [r0, #SSIENR]            /* off while it is set up */
    movs r2, #CLOCK_DIVISOR
    str r2, [r0, #BAUDR]
    ldr r2, =FRAMES_32_BITS | EEPROM_READ
    str r2, [r0, #CTRLR0]
    str r1, [r0, #CTRLR1]            /* one frame for each address */
    ldr r2, =READ_COMMAND | COMMAND_8_BITS | ADDRESS_24_BITS
    movs r3, #SPI_CTRLR0
    str r2, [r0, r3]
    movs r1, #1
    str r1, [r0, #SSIENR]

    ldr r0, =VECTORS
    ldr r1, =VTOR
    str r0, [r1]
    ldmia r0!, {r1, r2}
    mov sp, r1
    bx r2
    .ltorg
    .org 252
    .word 0                          /* the CRC, set when all is linked: hardware/boot_seals.py */
