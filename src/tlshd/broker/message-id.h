/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kinds of entries that the journal can be asked for by MESSAGE_ID=; tlshd(8) lists them. */
#pragma once

#define MESSAGE_ID_SUCCEEDED "419a2741e2db4571aa09d2d59e82c8e7"
#define MESSAGE_ID_FAILED "995699b32dca4207a8753e4bbd6f54f5"
#define MESSAGE_ID_SUMMED_UP "cb4215f194c347fdbe9e2b4bb762cd8f"
#define MESSAGE_ID_WORKER_LOST "82a4b1e67df1442780463c34021a08f7"
#define MESSAGE_ID_READY "848f519c6aed4c43891530f76f868851"
#define MESSAGE_ID_CONFIGURATION_REFUSED "e3cd55d1b3544a0e9225dbd3dbc1d11e"
