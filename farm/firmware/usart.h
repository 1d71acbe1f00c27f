/* The console: blocking bytes. */
#ifndef USART_H
#define USART_H

#include <stdint.h>

void usart_start(void);
uint8_t usart_read(void); /* sleeps until a byte is there */
void usart_write(uint8_t byte);
void usart_flush(void); /* until the last stop bit is out */

#endif
