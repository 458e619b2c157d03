// A store in a directory of its own, and records for it.
#ifndef OCPWATCH_TESTS_UNIT_STORE_STORE_WORLD_H_
#define OCPWATCH_TESTS_UNIT_STORE_STORE_WORLD_H_

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <catch2/catch.hpp>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "daemon/store/disk_store.h"

namespace ocpwatch {

class StoreWorld {
 public:
  StoreWorld() {
    std::string name = (std::filesystem::temp_directory_path() / "ocp-watch-store-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    directory_ = name;
  }
  ~StoreWorld() { std::filesystem::remove_all(directory_); }

  std::string directory() const { return directory_ + "/store"; }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  std::unique_ptr<DiskStore> Open(FileSystem* disk = FileSystem::Real()) const {
    auto store = std::make_unique<DiskStore>(directory(), disk);
    const absl::Status status = store->Open();
    INFO(status);
    REQUIRE(status.ok());
    return store;
  }

  std::string Write(const std::string& name, const std::string& content) const {
    std::ofstream(Path(name), std::ios::trunc) << content;
    return Path(name);
  }

 private:
  std::string directory_;
};

inline std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline FileStamp StampOf(const std::string& path) {
  struct stat status;
  REQUIRE(stat(path.c_str(), &status) == 0);
  return FileStamp::Of(status);
}

// As if the blob had been put two hours ago.
inline void Age(const Store& store, const Digest& digest) {
  const timespec then[2] = {{time(nullptr) - 7200, 0}, {time(nullptr) - 7200, 0}};
  REQUIRE(utimensat(AT_FDCWD, store.BlobPath(digest).c_str(), then, 0) == 0);
}

// A byte of the blob turns over on the disk.
inline void Damage(const Store& store, const Digest& digest) {
  const std::string path = store.BlobPath(digest);
  std::string bytes = ReadAll(path);
  REQUIRE(!bytes.empty());
  bytes[0] ^= 1;
  REQUIRE(chmod(path.c_str(), 0600) == 0);
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// An action that read `input` (with that content) and made `output` out of `digest`.
inline v1::ActionRecord Record(const std::string& fingerprint, const std::string& input, const std::string& content,
                               const std::string& output, const Digest& digest) {
  v1::ActionRecord record;
  record.set_fingerprint(std::string(32 - fingerprint.size(), '.') + fingerprint);
  record.mutable_key()->add_argv(fingerprint);
  record.mutable_key()->set_cwd("/w");
  v1::Observation& observation = *record.add_observations();
  observation.set_path(input);
  observation.set_type(v1::FILE_REGULAR);
  observation.set_content(true);
  *observation.mutable_digest() = ToProto(DigestOf(content));
  v1::Effect& effect = *record.add_effects();
  effect.set_path(output);
  effect.set_type(v1::FILE_REGULAR);
  *effect.mutable_digest() = ToProto(digest);
  return record;
}

inline std::vector<ActionPtr> Find(Store& store, const std::string& fingerprint) {
  return store.Find(std::string(32 - fingerprint.size(), '.') + fingerprint);
}

}  // namespace ocpwatch

#endif  // OCPWATCH_TESTS_UNIT_STORE_STORE_WORLD_H_
