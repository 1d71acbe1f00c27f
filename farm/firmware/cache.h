/* Caches between core and memory: on for every warm run, emptied before a cold one. */
#ifndef CACHE_H
#define CACHE_H

void cache_start(void);
void cache_empty(void);

#endif
