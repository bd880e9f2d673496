/* Dark Room (Laskin et al. 2022) in C: what a device with a sensor and a motor is in firmware. The same rules, in the same order, as
 * core/src/env/dark_room.rs: a 9x9 grid, a goal cell that is never shown, 20 steps, +1 after every step that ends on the goal. */
#ifndef DARK_ROOM_H
#define DARK_ROOM_H

#include <stdbool.h>
#include <stdint.h>

enum { DARK_ROOM_SIZE = 9, DARK_ROOM_HORIZON = 20, DARK_ROOM_ACTIONS = 5, DARK_ROOM_WORDS = 2 };

typedef struct {
    int32_t goal[2]; /* row, column */
    int32_t position[2];
    uint32_t time;
} dark_room;

typedef struct {
    float reward;
    bool done;
} dark_room_transition;

/* The task with this number, 0 to 80: the same one as everywhere else. */
static inline void dark_room_task(dark_room *room, uint32_t number) {
    room->goal[0] = (int32_t)(number / DARK_ROOM_SIZE);
    room->goal[1] = (int32_t)(number % DARK_ROOM_SIZE);
}

static inline void dark_room_reset(dark_room *room) {
    room->position[0] = DARK_ROOM_SIZE / 2;
    room->position[1] = DARK_ROOM_SIZE / 2;
    room->time = 0;
}

static inline void dark_room_observe(const dark_room *room, int32_t observation[DARK_ROOM_WORDS]) {
    observation[0] = room->position[0];
    observation[1] = room->position[1];
}

/* Actions: 0 stay, 1 up, 2 right, 3 down, 4 left. A wall leaves the agent where it is. */
static inline dark_room_transition dark_room_step(dark_room *room, uint32_t action) {
    static const int8_t moves[DARK_ROOM_ACTIONS][2] = {{0, 0}, {-1, 0}, {0, 1}, {1, 0}, {0, -1}};
    dark_room_transition transition;
    for (int axis = 0; axis < 2; axis++) {
        int32_t next = room->position[axis] + moves[action < DARK_ROOM_ACTIONS ? action : 0][axis];
        if (next >= 0 && next < DARK_ROOM_SIZE) {
            room->position[axis] = next;
        }
    }
    room->time++;
    bool at_goal = room->position[0] == room->goal[0] && room->position[1] == room->goal[1];
    transition.reward = at_goal ? 1.0f : 0.0f;
    transition.done = room->time >= DARK_ROOM_HORIZON;
    return transition;
}

#endif
