#include "ops/packed_weights.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <list>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "autograd/node.hpp"
#include "autograd/observer.hpp"
#include "lucid/parallel.hpp"

namespace lucid::ops {
namespace {

constexpr std::int64_t kLine = 64, kHashBlock = 1 << 16;
constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15ull, kOther = 0xD6E8FEB86659FD93ull;

std::uint64_t mixed(std::uint64_t x) {
  x ^= x >> 32;
  x *= kOther;
  return x ^ x >> 29;
}

// Each step is a bijection of the state and of the word, so that one changed word always changes the hash.
// The state is rotated before it is multiplied, and words are shifted by no half: else what changes the signs
// of two numbers changes only the highest bit of the state, and a second such change cancels it.
LUCID_VECTORIZED std::uint64_t hash_block(const std::byte* data, std::int64_t bytes) {
  constexpr int kWords = kLine / 8, kTurn = 23;
  std::array<std::uint64_t, kWords> state{};
  for (int i = 0; i < kWords; ++i)
    state[static_cast<std::size_t>(i)] = static_cast<std::uint64_t>(i) * kOther;
  const auto absorb = [&](const std::byte* line) __attribute__((always_inline)) {
#pragma GCC unroll 8  // else the state lies in memory
    for (std::size_t i = 0; i < kWords; ++i) {
      std::uint64_t word;
      std::memcpy(&word, line + 8 * i, sizeof(word));
      word ^= word >> 29 ^ state[i];
      state[i] = (word << kTurn | word >> (64 - kTurn)) * kOdd;
    }
  };
  std::int64_t at = 0;
  for (; at + kLine <= bytes; at += kLine) absorb(data + at);
  if (at < bytes) {
    std::array<std::byte, kLine> rest{};
    std::memcpy(rest.data(), data + at, static_cast<std::size_t>(bytes - at));
    absorb(rest.data());
  }
  std::uint64_t out = static_cast<std::uint64_t>(bytes);
  for (const std::uint64_t word : state) out = (out ^ mixed(word)) * kOdd;
  return out;
}

struct Key {
  std::uint64_t layout, hash;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& key) const { return key.hash ^ key.layout * kOdd; }
};

struct Entry {
  Key key;
  Tensor packed;               // undefined: came once, and is packed again
  std::uint64_t last_use = 0;  // counted in calls
};

// Least recently used entries go first: those beyond kMostBytes, and those that did not come for kIdleCalls.
class Cache {
 public:
  Tensor find_or_pack(const Key& key, const std::function<Tensor()>& pack) {
    bool keeps = false;
    {
      const std::lock_guard lock(mutex_);
      ++calls_;
      const auto found = index_.find(key);
      keeps = found != index_.end();
      if (keeps) {
        order_.splice(order_.begin(), order_, found->second);
        found->second->last_use = calls_;
        if (found->second->packed.defined()) return found->second->packed;
      } else {
        order_.push_front({key, Tensor(), calls_});
        index_.emplace(key, order_.begin());
      }
      trim();
    }
    Tensor packed = pack();  // other threads go on meanwhile
    if (!keeps) return packed;
    const std::lock_guard lock(mutex_);
    const auto found = index_.find(key);
    if (found == index_.end() || found->second->packed.defined()) return packed;
    found->second->packed = packed;
    bytes_ += packed.nbytes();
    trim();
    return packed;
  }

 private:
  static constexpr std::int64_t kMostBytes = std::int64_t{1} << 29;
  static constexpr std::uint64_t kIdleCalls = 4096;

  void trim() {
    while (!order_.empty() && (bytes_ > kMostBytes || order_.back().last_use + kIdleCalls < calls_)) {
      if (order_.back().packed.defined()) bytes_ -= order_.back().packed.nbytes();
      index_.erase(order_.back().key);
      order_.pop_back();
    }
  }

  std::mutex mutex_;
  std::list<Entry> order_;
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index_;
  std::int64_t bytes_ = 0;
  std::uint64_t calls_ = 0;
};

std::atomic<std::int64_t> packed_count = 0, hashed_count = 0;

// Of a dense tensor's elements, computed anew only when they may have changed.
std::uint64_t hash_of(const Tensor& weight) {
  static std::mutex mutex;  // of all digests: threads may share a weight
  Storage& storage = *weight.impl().storage;
  const std::int64_t begin = weight.offset() * size_of(weight.dtype()), bytes = weight.nbytes();
  const std::uint32_t version = storage.version();
  const bool may_change = storage.is_shared();
  if (!may_change) {
    const std::lock_guard lock(mutex);
    const Storage::Digest& known = storage.digest;
    if (known.version == version && known.begin == begin && known.bytes == bytes) return known.hash;
  }
  ++hashed_count;
  const std::uint64_t hash = hash_bytes(storage.data() + begin, bytes);
  if (!may_change) {
    const std::lock_guard lock(mutex);
    storage.digest = {version, begin, bytes, hash};
  }
  return hash;
}

// Never destroyed: a convolution may run while static objects go.
Cache& cache() {
  static auto* instance = new Cache;
  return *instance;
}

}  // namespace

std::uint64_t hash_bytes(const void* data, std::int64_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  const std::int64_t blocks = (bytes + kHashBlock - 1) / kHashBlock;
  std::vector<std::uint64_t> hashes(static_cast<std::size_t>(blocks));
  parallel_blocks(blocks, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      hashes[static_cast<std::size_t>(i)] =
          hash_block(from + i * kHashBlock, std::min(kHashBlock, bytes - i * kHashBlock));
  });
  std::uint64_t out = 0;
  for (const std::uint64_t hash : hashes) out = mixed(out ^ hash) * kOdd;
  return out;
}

std::int64_t weights_packed() { return packed_count; }
std::int64_t weights_hashed() { return hashed_count; }

PackedWeights::PackedWeights() {
  static std::atomic<std::uint64_t> layouts = 0;
  layout_ = ++layouts;
}

Tensor PackedWeights::find_or_pack(const Tensor& weight, const std::function<Tensor()>& pack) const {
  // A checkpoint calls with the same weights twice a step, and they don't come again; nor does what is
  // observed.
  if (autograd::detail::save_policy || autograd::detail::observer) {
    ++packed_count;
    return pack();
  }
  return cache().find_or_pack({layout_, hash_of(weight)}, [&] {
    ++packed_count;
    return pack();
  });
}

}  // namespace lucid::ops
