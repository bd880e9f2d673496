/* The model of a device as a part that can be replaced in the field: two slots of flash, one at work, one for the next model. An update erases the
 * other slot, programs the model there, validates what can be read back, and then programs the slot's header, a record with a CRC-32. The newest
 * slot whose header and model are valid is the one that runs after a restart: whenever the power fails there is one, the old model until the header
 * is complete, from then on the new one. The same slots as those of examples/ab-update, which is in Rust and says more. No heap. */
#ifndef AB_UPDATE_H
#define AB_UPDATE_H

#include "algodistill.h"

/* Most bytes of a unit. */
#define AB_MOST_UNIT 256

/* The flash of one slot: whole pages that nothing else uses. `erase` sets the bytes of a page to 0xff, `program` programs whole units at an offset
 * from the start of the slot; both give 0 when done. On a chip with one bank of flash they lie in RAM. Caches of the flash are theirs to empty. */
typedef struct {
    const uint8_t *bytes; /* where it is mapped, aligned to 4 bytes */
    size_t length;        /* in bytes */
    size_t page_length;   /* erased at once: a multiple of a unit */
    size_t unit_length;   /* programmed at once, and once only after it was erased: a power of two, at most AB_MOST_UNIT */
    int (*erase)(void *context, size_t page);
    int (*program)(void *context, size_t offset, const uint8_t *units, size_t length);
    void *context;
} ab_flash;

/* What a model must be for this firmware. */
typedef struct {
    uint32_t interface_crc32; /* of `ad_model_info`: sensors and actuators */
    size_t workspace_words;   /* that the firmware has */
    const char *environment;  /* of the model's card; null for any */
} ab_requirements;

typedef enum {
    AB_OK,
    AB_FLASH,    /* the flash controller refused */
    AB_ROOM,     /* the slot is too small */
    AB_CHUNK,    /* a chunk is not of whole units, and not the last one */
    AB_LENGTH,   /* more or fewer bytes than were announced */
    AB_MODEL,    /* what can be read back is no valid model: `why` of the update says more */
    AB_MISMATCH, /* a model for another firmware */
    AB_HEADER    /* the header cannot be read back as it was programmed */
} ab_result;

/* A model on its way into a slot. */
typedef struct {
    const ab_flash *slot;
    uint32_t sequence;
    size_t length;
    size_t written;
    ad_status why;
} ab_update;

/* Number of the slot to run, 0 or 1; -1 where neither holds a valid model that fits. */
int ab_start(const ab_flash slots[2], const ab_requirements *requirements);

/* The weights file of a slot that `ab_start` gave: for `ad_agent_init`. */
const uint8_t *ab_model(const ab_flash *slot, size_t *length);

/* Begins an update while slot `running` (what `ab_start` gave) is at work: erases as much of the other one as a weights file of `length` bytes needs.
 * What was broken off is begun again: nothing of it is built upon, because a page whose erasure was cut off may read as erased and not be. */
ab_result ab_begin(ab_update *update, const ab_flash slots[2], int running, size_t length);

/* Programs the next bytes of the weights file: whole units, but for the last chunk. */
ab_result ab_write(ab_update *update, const uint8_t *chunk, size_t length);

/* Validates what lies in the flash and makes it the model of the next start. What is refused does not run, and the running slot is not touched. */
ab_result ab_finish(ab_update *update, const ab_requirements *requirements);

#endif
