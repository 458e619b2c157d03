// A content by its SHA-256 and size: the name of a blob, and what two files are compared by.
#ifndef OCPWATCH_DAEMON_STORE_DIGEST_H_
#define OCPWATCH_DAEMON_STORE_DIGEST_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ocpwatch/v1/action.pb.h"

struct evp_md_ctx_st;

namespace ocpwatch {

struct Digest {
  std::array<unsigned char, 32> sha256 = {};
  uint64_t size = 0;

  friend bool operator==(const Digest&, const Digest&) = default;
  template <typename H>
  friend H AbslHashValue(H h, const Digest& digest) {
    return H::combine(std::move(h), digest.sha256, digest.size);
  }
};

Digest DigestOf(std::string_view bytes);
// Of all that can be read from `fd` from its offset 0 on, at 1.65 GB/s. Errors: as ReadParts.
absl::StatusOr<Digest> DigestOfFile(int fd);

// Of a content that comes in parts.
class Hasher {
 public:
  Hasher();
  void Add(std::string_view part);
  Digest Finish();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
  uint64_t size_ = 0;
};

// Hands on all that can be read from `fd` from its offset 0 on (pread), in parts. Ends at the first error of `fn`, and
// with one of reading, with errno's words.
absl::Status ReadParts(int fd, absl::FunctionRef<absl::Status(std::string_view)> fn);

std::string Hex(const Digest& digest);  // Of the SHA-256: 64 characters.

v1::Digest ToProto(const Digest& digest);
// A message that is no digest gives one that no content has.
Digest FromProto(const v1::Digest& digest);

}  // namespace ocpwatch

#endif  // OCPWATCH_DAEMON_STORE_DIGEST_H_
