// The session log: the file in which a session's events outlive it, can be copied elsewhere and read without the
// daemon.
//
// An append-only file of zstd frames, each with its content size and a content checksum. Decompressed and joined
// (`zstd -dc` does it) they are v1::Event messages, each with a varint of its length before it; no event crosses the
// end of a zstd frame. So a tail that a crash tore off costs the last frame at most, and the rest is whole:
//
//   zstd frame        one Event: header. Alone, so that a reader knows format, command and call table at once.
//   zstd frames       Events: frame, damage, end, in the order in which they came. At most kBlockBytes and one event.
//   zstd frame        One Event: summary. The StoredModel's totals alone, all that `report summary` reads.
//   zstd frames       Events: summary. Parts of the StoredModel. These, the totals and the footer are only in a log
//   that
//                     was closed in good order.
//   skippable frame   LogFooter: where the first summary begins, so that a report need not read the events.
//
// A frame of the wire is kept in its Event byte for byte; it is not serialised again.
//
// Measured on a build's events: 12 bytes each (the frame has 55); a session of 10 million is 118 MB, and its summary is
// read in 9 ms (1000 paths, 50 commands).
//
// Numbers are little endian. A reader accepts only its own kLogFormat.
#ifndef OCPWATCH_DAEMON_SESSION_LOG_FORMAT_H_
#define OCPWATCH_DAEMON_SESSION_LOG_FORMAT_H_

#include <cstddef>
#include <cstdint>

namespace ocpwatch {

inline constexpr uint32_t kLogFormat = 2;

// What a zstd frame holds at most before it is closed: large enough to compress well, small enough that a live reader
// and a crash notice it little.
inline constexpr size_t kBlockBytes = size_t{1} << 20;

// What a reader accepts of one zstd frame, decompressed: a block and the longest event (a wire frame of 256 KiB, or a
// part of the summary) with room to spare. More is no log of ours but a bomb.
inline constexpr size_t kMaxBlockBytes = size_t{8} << 20;

inline constexpr uint32_t kFooterMagic = 0x184D2A5C;         // One of zstd's sixteen for skippable frames.
inline constexpr uint64_t kFooterMark = 0x31746f6f66706f63;  // "copfoot1"

// The skippable frame, whole: zstd's header of 8 bytes and 24 of ours.
struct LogFooter {
  uint32_t magic = kFooterMagic;
  uint32_t size = 24;  // Bytes behind this field.
  uint64_t mark = kFooterMark;
  uint64_t summary_offset = 0;  // From the start of the file.
  uint64_t events = 0;
};
static_assert(sizeof(LogFooter) == 32);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_SESSION_LOG_FORMAT_H_
