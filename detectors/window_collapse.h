/* window_collapse.h - the arithmetic of a window that lost its scale. */
#ifndef DETECTORS_WINDOW_COLLAPSE_H
#define DETECTORS_WINDOW_COLLAPSE_H

#include <stdbool.h>
#include <stdint.h>

enum scale_change { SCALE_KEPT, SCALE_NOT_APPLIED, SCALE_APPLIED_TWICE };

/* Two windows of one side, one after the other, both scaled by `shift` as
 * negotiated: does the step between them mean that the second was sent without
 * having been shifted (it seems 2^shift too large), or shifted twice (2^shift
 * too small)? `slack` is by how much of itself the true window may have moved
 * meanwhile: 4 is a quarter. A shift of 0 can not be lost. */
enum scale_change scale_change(uint32_t before, uint32_t after, uint8_t shift,
    uint32_t slack);

#endif
