/* The system timer as the counter of a port: 24 bits, the processor's clock, downwards.
 * Source: Armv7-M Architecture Reference Manual (DDI 0403), B3.3. */
#ifndef LE_SYSTICK_H
#define LE_SYSTICK_H

#include "le_port.h"

#define LE_SYST_CSR LE_REGISTER32(0xE000E010u)
#define LE_SYST_RVR LE_REGISTER32(0xE000E014u)
#define LE_SYST_CVR LE_REGISTER32(0xE000E018u)

static inline void le_systick_start(void)
{
    LE_SYST_RVR = 0xFFFFFFu;
    LE_SYST_CVR = 0;
    LE_SYST_CSR = 5; /* ENABLE, CLKSOURCE: the processor's; no interrupt */
}

static inline uint32_t le_systick_count(void) { return 0xFFFFFFu - LE_SYST_CVR; }

#endif
