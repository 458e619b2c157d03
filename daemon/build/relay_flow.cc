// How bytes flow from the streams to where they lead: reading, recording, handing on, and what blocks and ends them.
#include <sys/epoll.h>

#include <algorithm>

#include "daemon/build/relay_loop.h"

namespace ocpwatch {

void Relay::Loop::Drain(Node* node, size_t bound, bool below) {
  std::string bytes;
  auto state = PoolEnd::State::kEnded;
  if (node->end != nullptr) {
    state = node->end->Read(bound, &bytes);
    node->taken = node->end->taken();
  }
  // What stands in the children's now has been written before these bytes if it has anything to do with them. To read
  // the children first would leave a gap in which one writes, ends, and its parent writes.
  if (below || !bytes.empty()) {
    for (Node* const child : node->children) Drain(child, kForcedRead, below);
  }
  if (!bytes.empty()) Deliver(node, bytes);
  if (node->end != nullptr && state == PoolEnd::State::kEnded) Release(node);
}

void Relay::Loop::Deliver(Node* node, std::string_view bytes) {
  for (Node* each = node; each != nullptr; each = each->parent) {
    if (!each->dropped) each->record.Append(bytes);
  }
  if (node->target->out == nullptr) return;
  node->target->out->Write(bytes);
  Settle(node->target.get());
}

void Relay::Loop::Release(Node* node) {
  PoolEnd* const end = node->end;
  if (end == nullptr) return;
  Watch(node, false);
  in_use_.erase(end->place());
  end->End();
  (end->terminal() ? free_terminals_ : free_pipes_).push_back(end);
  node->end = nullptr;
  --node->target->streams;
  to_sweep_ = true;
}

void Relay::Loop::Watch(Node* node, bool wanted) {
  if (node->watched == wanted || node->end == nullptr) return;
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = node->id;
  epoll_ctl(epoll_.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, node->end->poll_fd(), &event);
  node->watched = wanted;
}

void Relay::Loop::Settle(Target* target) {
  if (target->out->dead()) {
    Cut(target);
    return;
  }
  if (target->out->pending() == 0) to_sweep_ = true;
  Block(target, target->out->pending() > 0);
}

void Relay::Loop::Block(Target* target, bool blocked) {
  if (blocked == target->blocked) return;
  target->blocked = blocked;
  Arm(target, blocked);
  for (const auto& [id, node] : nodes_) {
    if (node->target.get() == target) Watch(node.get(), !blocked);
  }
}

void Relay::Loop::Arm(Target* target, bool wanted) {
  if (target->armed == wanted) return;
  epoll_event event = {};
  event.events = EPOLLOUT;
  event.data.u64 = target->number;
  epoll_ctl(epoll_.get(), wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, target->out->fd(), &event);
  target->armed = wanted;
}

void Relay::Loop::Cut(Target* target) {
  Arm(target, false);
  for (const auto& [id, node] : nodes_) {
    if (node->target.get() != target || node->end == nullptr) continue;
    Watch(node.get(), false);
    in_use_.erase(node->end->place());
    to_close_.push_back(node->end->number());
    node->end->Close();
    node->end = nullptr;
    node->cut = true;
    --target->streams;
  }
  const Place place = target->out->place();
  target->out.reset();
  targets_.erase(place);  // The nodes keep it.
  to_sweep_ = true;
  Wake();
}

bool Relay::Loop::EndedBelow(const Node* node) {
  return node->end == nullptr && std::all_of(node->children.begin(), node->children.end(), EndedBelow);
}

void Relay::Loop::Sweep() {
  if (!to_sweep_) return;
  to_sweep_ = false;
  for (auto node = nodes_.begin(); node != nodes_.end();) {
    Node* const gone = node->second.get();
    if (!gone->finished || gone->end != nullptr) {
      ++node;
      continue;
    }
    Node* const parent = gone->parent;
    if (parent != nullptr) std::erase(parent->children, gone);
    for (Node* const child : gone->children) {
      child->parent = parent;
      if (parent != nullptr) parent->children.push_back(child);
    }
    node = nodes_.erase(node);
  }
  for (auto target = targets_.begin(); target != targets_.end();) {
    const auto each = target++;
    if (each->second->streams > 0 || each->second->out->pending() > 0) continue;
    Arm(each->second.get(), false);
    each->second->out.reset();
    targets_.erase(each);
  }
}

bool Relay::Loop::NothingPending() const {
  return std::all_of(targets_.begin(), targets_.end(),
                     [](const auto& target) { return target.second->out->pending() == 0; });
}

void Relay::Loop::DrainAll() {
  for (const auto& [id, node] : nodes_) {
    if (node->parent == nullptr) Drain(node.get(), kForcedRead, true);
  }
}

}  // namespace ocpwatch
